import type { Person } from './people.ts'

/** A message of 100 bytes. */
export const BODY =
  'All happy families are alike; every unhappy family is unhappy in its own way. (Anna Karenina, 1878)'.padEnd(
    100,
    '.',
  )

const HOST = 'Host: 127.0.0.1\r\nAccept: application/json\r\n'

/** The requests of a client as they go over the wire. */
export const sendText = (sender: Person, to: string) => sendBodyText(sender, to, BODY)

/** @param key sent as `Idempotency-Key` */
export const sendBodyText = ({ token }: Person, to: string, body: string, key?: string) => {
  const headers = key === undefined ? '' : `Idempotency-Key: ${key}\r\n`
  const content = json(JSON.stringify({ to, body }))
  return `POST /v1/messages HTTP/1.1\r\n${HOST}Authorization: Bearer ${token}\r\n${headers}${content}`
}

export const bearerText = ({ token }: Person, path: string) =>
  `GET ${path} HTTP/1.1\r\n${HOST}Authorization: Bearer ${token}\r\n\r\n`

export const pollText = ({ token }: Person, after: number, query = 'wait=55') =>
  `GET /v1/inbox?after=${after}&${query} HTTP/1.1\r\n${HOST}Authorization: Bearer ${token}\r\n\r\n`

export const loginText = (username: string, password: string) =>
  `POST /v1/login HTTP/1.1\r\n${HOST}${json(JSON.stringify({ username, password }))}`

export const getText = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`

const json = (body: string) =>
  `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
