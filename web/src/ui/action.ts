import { useEffect, useRef, useState } from 'preact/hooks'
import { problemText } from './problem.ts'

/** Runs an action of the user, and tracks whether it is running and why it failed. */
export function useAction() {
  const [busy, setBusy] = useState(false)
  // Buttons are not disabled meanwhile, because they would lose the focus.
  const running = useRef(false)
  const [error, setError] = useState<unknown>()
  /** Resolves with whether it succeeded. */
  const run = async (action: () => Promise<unknown>): Promise<boolean> => {
    if (running.current) return false
    running.current = true
    setBusy(true)
    setError(undefined)
    try {
      await action()
      return true
    } catch (problem) {
      setError(problem)
      return false
    } finally {
      running.current = false
      setBusy(false)
    }
  }
  return { busy, error, problem: error === undefined ? undefined : problemText(error), run }
}

/** Loads data from the server; `reload` loads it again. */
export function useLoaded<T>(load: () => Promise<T>) {
  const [value, setValue] = useState<T>()
  const [problem, setProblem] = useState<string>()
  const reload = async () => {
    try {
      setValue(await load())
      setProblem(undefined)
    } catch (error) {
      setProblem(problemText(error))
    }
  }
  useEffect(() => void reload(), [])
  return { value, problem, reload }
}
