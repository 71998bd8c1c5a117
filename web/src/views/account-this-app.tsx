import { installPrompt, isInstalled, isIos } from '../ui/install.ts'

/** How to install the page, or why it is not possible, and a link to the API reference. */
export function ThisApp() {
  return (
    <>
      <Installation />
      <p>
        Programs can send and receive, too: <a href="docs/">the API reference</a>, and its{' '}
        <a href="openapi.yaml">OpenAPI document</a>.
      </p>
    </>
  )
}

function Installation() {
  const prompt = installPrompt.value
  if (isInstalled()) return <p>It is installed on this device.</p>
  if (!isSecureContext)
    return (
      <p>
        It cannot be installed from this address, because that begins with http. Browsers install pages only
        from https.
      </p>
    )
  if (prompt)
    return (
      <div class="buttons">
        <button type="button" onClick={() => void prompt.prompt()}>
          Install Restante
        </button>
      </div>
    )
  if (isIos())
    return (
      <p>
        To install it, touch Share, then Add to Home Screen. Otherwise Safari deletes your messages when you
        have not opened this page for seven days.
      </p>
    )
  return <p>Your browser may offer to install it, in its menu or beside the address.</p>
}
