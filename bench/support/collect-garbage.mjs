/** Collects the garbage at SIGWINCH, an otherwise unused signal, in a process whose memory is measured. */
import { Session } from 'node:inspector'
import { BroadcastChannel, isMainThread } from 'node:worker_threads'

const session = new Session()
session.connect()
const collect = () => session.post('HeapProfiler.collectGarbage')

// Only the main thread gets signals.
const threads = new BroadcastChannel('collect-garbage')
threads.onmessage = collect
threads.unref()
if (isMainThread) {
  process.on('SIGWINCH', () => {
    collect()
    threads.postMessage('')
  })
}
