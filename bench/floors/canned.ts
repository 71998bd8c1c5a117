/** Answers everything with the same bytes: this is the limit of the load generator. */
import { type AddressInfo, createServer } from 'node:net'

const body = JSON.stringify({ id: 'x'.repeat(36), to: 'u000000', sentAt: 'x'.repeat(24), delivery: 'stored' })
const answer = Buffer.from(
  `HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
)
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', () => socket.write(answer))
  socket.on('error', () => socket.destroy())
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  console.log(JSON.stringify({ msg: `Server listening at http://127.0.0.1:${port}` }))
})
