import { render } from 'preact'
import { registerWorker } from './worker.ts'

/** Stands in for the page while that is being written. */
const Page = () => (
  <main>
    <h1>Restante</h1>
    <p>
      The chat page is not here yet. <a href="docs/">The API reference</a> is.
    </p>
  </main>
)

const root = document.getElementById('app')
if (root) render(<Page />, root)
void registerWorker()
