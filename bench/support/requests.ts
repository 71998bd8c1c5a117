import type { Person } from './people.ts'

/** A message of 100 bytes. */
export const BODY =
  'All happy families are alike; every unhappy family is unhappy in its own way. (Anna Karenina, 1878).'

/** The requests of a client as they go over the wire. */
export const getText = (path: string, person?: Person) =>
  `GET ${path} HTTP/1.1\r\n${HOST}${person ? bearer(person) : ''}\r\n`

export const pollText = (reader: Person, after: number, query = 'wait=55') =>
  getText(`/v1/inbox?after=${after}&${query}`, reader)

/** @param key sent as `Idempotency-Key` */
export function sendText(sender: Person, to: string, body = BODY, key?: string): string {
  const json = JSON.stringify({ to, body })
  const keyLine = key === undefined ? '' : `Idempotency-Key: ${key}\r\n`
  const length = Buffer.byteLength(json)
  return `POST /v1/messages HTTP/1.1\r\n${HOST}${bearer(sender)}${keyLine}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${json}`
}

const HOST = 'Host: 127.0.0.1\r\nAccept: application/json\r\n'
const bearer = ({ token }: Person) => `Authorization: Bearer ${token}\r\n`
