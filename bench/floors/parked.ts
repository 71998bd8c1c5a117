/** Never answers: shows how much memory Node itself holds per request. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const parked = new Set<ServerResponse>()
const server = createServer((_request, response) => {
  parked.add(response)
  response.once('close', () => parked.delete(response))
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  console.log(JSON.stringify({ msg: `Server listening at http://127.0.0.1:${port}` }))
})
