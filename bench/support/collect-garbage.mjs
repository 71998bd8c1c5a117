/** For a process whose memory is measured: SIGWINCH, which nobody uses, has it collect its garbage. */
import { Session } from 'node:inspector'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  const session = new Session()
  session.connect()
  process.on('SIGWINCH', () => session.post('HeapProfiler.collectGarbage'))
}
