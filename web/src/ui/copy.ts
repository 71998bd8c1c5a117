/**
 * Copies a text to the clipboard. Pages from plain http have none, so there it selects the element's text.
 */
export async function copy(text: string, element: HTMLElement | null): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      // Refused by the user, or by the frame that contains the page.
    }
  }
  if (element) getSelection()?.selectAllChildren(element)
  return document.execCommand('copy')
}
