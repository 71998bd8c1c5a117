/** Copies a text. Pages from plain http have no clipboard, so it selects the element's text there. */
export async function copy(text: string, element: HTMLElement | null): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      // Refused by the user or by the frame around the page.
    }
  }
  if (element) getSelection()?.selectAllChildren(element)
  return document.execCommand('copy')
}
