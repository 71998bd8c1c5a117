/** For a process whose memory is measured: at SIGWINCH, which nobody uses, it collects its garbage. */
import { Session } from 'node:inspector'
import { BroadcastChannel, isMainThread } from 'node:worker_threads'

const session = new Session()
session.connect()
const collect = () => session.post('HeapProfiler.collectGarbage')

// Signals reach the main thread alone.
const threads = new BroadcastChannel('collect-garbage')
threads.onmessage = collect
threads.unref()
if (isMainThread) {
  process.on('SIGWINCH', () => {
    collect()
    threads.postMessage('')
  })
}
