import type { Notifications as State } from '../chat/types.ts'
import { useAction } from '../ui/action.ts'
import { announce } from '../ui/announcer.tsx'
import { isInstalled, isIos } from '../ui/install.ts'
import { problemText } from '../ui/problem.ts'

/** Turns notifications on and off, or says why they are not available. */
export function Notifications({ notifications }: { notifications: State }) {
  const { busy, problem, run } = useAction()
  const state = notifications.state.value
  const failure = notifications.failure.value
  const problemOrFailure = problem ?? (state === 'on' && failure ? problemText(failure) : undefined)
  const turnOn = () => turnOnIn(notifications, run)
  const turnOff = async () => {
    if (await run(() => notifications.turnOff())) announce('Notifications are off.')
  }
  if (state === 'unsupported') return <p>{whyNot()}</p>
  if (state === 'blocked')
    return (
      <p>
        Your browser blocks notifications of this page. Allow them in the settings of the page, beside its
        address, or in those of the app.
      </p>
    )
  return (
    <>
      <p>
        {state === 'on'
          ? 'They are on: this browser tells you of new messages when you are not on this page.'
          : 'Your browser can tell you of new messages when you are not on this page.'}{' '}
        A notification says neither who has written, nor what.
      </p>
      {problemOrFailure && (
        <p class="problem" role="alert">
          {problemOrFailure}
        </p>
      )}
      <div class="buttons">
        {state === 'on' && failure && (
          <button type="button" aria-disabled={busy} onClick={() => void turnOn()}>
            Try again
          </button>
        )}
        <button
          type="button"
          aria-disabled={busy}
          onClick={() => void (state === 'on' ? turnOff() : turnOn())}
        >
          {state === 'on' ? 'Turn notifications off' : 'Turn notifications on'}
        </button>
      </div>
    </>
  )
}

export async function turnOnIn(notifications: State, run: ReturnType<typeof useAction>['run']) {
  await run(() => notifications.turnOn())
  const state = notifications.state.peek()
  if (state === 'on') announce('Notifications are on.')
  else if (state === 'blocked') announce('Your browser blocks notifications of this page.')
}

function whyNot() {
  if (!isSecureContext)
    return 'Browsers show notifications of pages from https only. The address of this page begins with http.'
  if (isIos() && !isInstalled())
    return 'Notifications need the installed app: touch Share, then Add to Home Screen, and open it from there.'
  return 'This browser shows no notifications while a page is closed.'
}
