/** The thread that makes checkpoints while the writer thread commits. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Order, writeBack } from './checkpoints.ts'
import { openStatements } from './connection.ts'

if (parentPort) serve(parentPort, workerData as string)

function serve(port: NonNullable<typeof parentPort>, path: string) {
  const connection = openStatements(path)
  port.on('message', (order: Order) => {
    if (order === 'close') {
      connection.close()
      port.close()
      return
    }
    writeBack(connection)
    port.postMessage('done')
  })
}
