import type { ComponentChildren } from 'preact'

/** A form: its fields, its error, and the submit button. */
export function Form(props: {
  button: string
  busy: boolean
  problem?: string | undefined
  onSubmit: (text: (name: string) => string) => Promise<unknown>
  children: ComponentChildren
}) {
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        const data = new FormData(event.currentTarget)
        void props.onSubmit((name) => String(data.get(name) ?? ''))
      }}
    >
      {props.children}
      {props.problem && (
        <p class="problem" role="alert">
          {props.problem}
        </p>
      )}
      <div class="buttons">
        <button type="submit" aria-disabled={props.busy}>
          {props.button}
        </button>
      </div>
    </form>
  )
}
