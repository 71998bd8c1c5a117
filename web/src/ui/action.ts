import { useEffect, useRef, useState } from 'preact/hooks'
import { problemWords } from './problem.ts'

/** Something the user has asked for: whether it is under way, and why it has failed. */
export function useAction() {
  const [busy, setBusy] = useState(false)
  // A button is not disabled meanwhile, because it would lose the focus.
  const running = useRef(false)
  const [error, setError] = useState<unknown>()
  /** Resolves with whether it was done. */
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
  return { busy, error, problem: error === undefined ? undefined : problemWords(error), run }
}

/** What the server has to tell; `reload` asks it again. */
export function useLoaded<T>(load: () => Promise<T>) {
  const [value, setValue] = useState<T>()
  const [problem, setProblem] = useState<string>()
  const reload = async () => {
    try {
      setValue(await load())
      setProblem(undefined)
    } catch (error) {
      setProblem(problemWords(error))
    }
  }
  useEffect(() => void reload(), [])
  return { value, problem, reload }
}
