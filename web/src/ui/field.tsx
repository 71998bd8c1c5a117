import { useId, useState } from 'preact/hooks'

export interface FieldProps {
  label: string
  name: string
  value?: string | undefined
  hint?: string | undefined
  /** The error of this field. */
  problem?: string | undefined
  password?: boolean
  autoComplete?: string | undefined
  /** Not natural language: no capitalisation, no corrections. */
  plain?: boolean
  autoFocus?: boolean
  maxLength?: number
}

/** A text field with its label above and its error below. */
export function Field(props: FieldProps) {
  const id = useId()
  const [shown, setShown] = useState(false)
  const { problem, hint, password } = props
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <div class="field-box">
        <input
          {...(password && !shown ? { type: 'password' } : { type: 'text' })}
          id={id}
          name={props.name}
          defaultValue={props.value ?? ''}
          autocomplete={props.autoComplete ?? 'off'}
          autocapitalize={props.plain || password ? 'none' : undefined}
          spellcheck={!props.plain && !password}
          maxLength={props.maxLength}
          autofocus={props.autoFocus}
          aria-invalid={problem !== undefined}
          aria-describedby={problem || hint ? `${id}-hint` : undefined}
        />
        {password && (
          <button type="button" class="link" onClick={() => setShown(!shown)}>
            {shown ? 'Hide' : 'Show'}
            <span class="sr"> {props.label.toLowerCase()}</span>
          </button>
        )}
      </div>
      {(problem || hint) && (
        <p id={`${id}-hint`} class={problem ? 'hint bad' : 'hint'} role={problem ? 'alert' : undefined}>
          {problem ?? hint}
        </p>
      )}
    </div>
  )
}
