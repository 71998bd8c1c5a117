import { type Exchange, type History, isUnknown } from '../history.ts'
import { byAccount, type Check, faultFreeSinceMs, REREAD_MS_MAX, type Violation } from './finding.ts'

/**
 * A node that gets no notifications notices this by its heartbeat: a probe every 2 s that has 5 s to come
 * back (src/nodes/heartbeat.ts). The rest is for a busy machine.
 */
const AFTERLIFE_MS_MAX = 10_000

/** Without a fault, it takes as long as a notification. */
const AFTERLIFE_UNBROKEN_MS_MAX = 1_000

/** After this time, a fault has no more effects. */
const RECOVERED_MS = 10_000

const DEAD = `a token is refused everywhere ${AFTERLIFE_MS_MAX} ms after its session was ended`
const DEAD_AT_ONCE = `and after ${AFTERLIFE_UNBROKEN_MS_MAX} ms without a fault`
const RELEASED = `a poll of a session that was ended is over within ${REREAD_MS_MAX} ms`
const ALIVE = 'nobody is thrown out but by a logout or another login'

/** Checks the ends of sessions: none lives longer, and none ends early. */
export const checkSessions: Check = (history) => {
  const findings: Findings = {
    violations: [],
    tried: 0,
    longestMs: 0,
    triedUnbroken: 0,
    longestUnbrokenMs: 0,
    longestPollMs: 0,
  }
  for (const exchanges of byAccount(history.exchanges).values()) {
    const ends = endsOf(exchanges)
    for (const exchange of exchanges) {
      const { session, outcome } = exchange
      if (session === undefined || exchange.request.kind === 'login') continue
      const endMs = ends.get(session)
      if (outcome.status === 401) findings.violations.push(...cutShort(exchange, exchanges))
      if (endMs === undefined) continue
      if (exchange.beganMs > endMs) judgeAfterlife(history, exchange, endMs, findings)
      else if (exchange.endedMs > endMs) judgeRelease(history, exchange, endMs, findings)
    }
  }
  return {
    violations: findings.violations,
    figures: {
      'requests with the token of an ended session': findings.tried,
      'longest afterlife of a session, ms': findings.longestMs,
      'of these, without a fault': findings.triedUnbroken,
      'longest afterlife without a fault, ms': findings.longestUnbrokenMs,
      'longest poll of an ended session, ms': findings.longestPollMs,
    },
  }
}

/** When each session had certainly ended. */
function endsOf(exchanges: Exchange[]): Map<string, number> {
  const ends = new Map<string, number>()
  const end = (session: string, atMs: number) =>
    ends.set(session, Math.min(atMs, ends.get(session) ?? Number.POSITIVE_INFINITY))
  const logins = exchanges.filter(
    ({ request, outcome }) => request.kind === 'login' && outcome.status === 200,
  )
  for (const { session = '', endedMs: openedMs } of logins) {
    // Of two concurrent logins, it is unknown which ended the other.
    for (const later of logins) if (later.beganMs > openedMs) end(session, later.endedMs)
  }
  for (const { request, outcome, session = '', endedMs } of exchanges) {
    if (request.kind === 'logout' && outcome.status === 204) end(session, endedMs)
  }
  return ends
}

interface Findings {
  violations: Violation[]
  tried: number
  triedUnbroken: number
  longestMs: number
  longestUnbrokenMs: number
  longestPollMs: number
}

/** A request that began with the token of an ended session. */
function judgeAfterlife(history: History, exchange: Exchange, endMs: number, findings: Findings) {
  if (isUnknown(exchange)) return
  const { account, node, session, request, outcome, beganMs } = exchange
  const livedMs = beganMs - endMs
  const brokenMs = faultFreeSinceMs(history.injectedFaults, node, beganMs, () => true)
  const unbroken = endMs - brokenMs > RECOVERED_MS
  findings.tried += 1
  if (unbroken) findings.triedUnbroken += 1
  if (outcome.status === 401) return
  findings.longestMs = Math.max(findings.longestMs, livedMs)
  if (unbroken) findings.longestUnbrokenMs = Math.max(findings.longestUnbrokenMs, livedMs)
  if (livedMs <= (unbroken ? AFTERLIFE_UNBROKEN_MS_MAX : AFTERLIFE_MS_MAX)) return
  const what = `${session} had ended ${Math.round(livedMs)} ms before a ${request.kind} that got ${outcome.status}`
  const promise = unbroken ? `${DEAD}, ${DEAD_AT_ONCE}` : DEAD
  findings.violations.push({ promise, atMs: beganMs, account, node, what })
}

/** A request that was under way when its session ended. */
function judgeRelease(history: History, exchange: Exchange, endMs: number, findings: Findings) {
  const { account, node, session, outcome, endedMs } = exchange
  const lastedMs = endedMs - Math.max(endMs, faultFreeSinceMs(history.injectedFaults, node, endedMs))
  findings.longestPollMs = Math.max(findings.longestPollMs, lastedMs)
  if (lastedMs <= REREAD_MS_MAX) return
  const what = `${session} had a poll ${Math.round(lastedMs)} ms after its end, which got ${outcome.status}`
  findings.violations.push({ promise: RELEASED, atMs: endedMs, account, node, what })
}

/** A refusal needs a logout of the session, or another login, that may have happened by then. */
function cutShort({ account, session, node, endedMs }: Exchange, exchanges: Exchange[]): Violation[] {
  const login = exchanges.find(
    ({ request, session: opened }) => request.kind === 'login' && opened === session,
  )
  const openedMs = login?.endedMs ?? 0
  const reason = exchanges.some((other) => {
    if (other === login || other.beganMs > endedMs) return false
    if (other.request.kind === 'logout') return other.session === session
    // An unanswered request may be carried out late.
    return (
      other.request.kind === 'login' && (isUnknown(other) || other.endedMs > (login?.beganMs ?? openedMs))
    )
  })
  if (reason) return []
  const what = `${session} was refused, and nothing had ended it`
  return [{ promise: ALIVE, atMs: endedMs, account, node, what }]
}
