import { type History, isPoll, type Polled } from '../history.ts'
import { type Check, faultFreeSinceMs, REREAD_MS_MAX, type Violation } from './finding.ts'

const WAIT = `no poll waits more than ${REREAD_MS_MAX} ms for a message that is there`
const NOW = 'a read that does not wait sees everything that was accepted before'

/**
 * How long polls waited for a stored message. A message counts as stored when its sender, or that of a later
 * one, has the answer. Only times in which a node was up and had its database count.
 */
export const checkWaits: Check = (history) => {
  const violations: Violation[] = []
  const thereSince = thereSinceMs(history)
  let longestMs = 0
  for (const poll of history.exchanges.filter(isPoll)) {
    const wanted = wantedSeq(poll)
    const thereMs = wanted === undefined ? undefined : thereSince.get(poll.account)?.[wanted - 1]
    if (wanted === undefined || thereMs === undefined) continue
    const { account, node, request, outcome, beganMs, endedMs } = poll
    const empty = outcome.status === 200 && outcome.page?.messages.length === 0
    if (request.waitMs === 0 && empty && thereMs < beganMs) {
      const what = `${wanted} was there for ${Math.round(beganMs - thereMs)} ms, and nothing was found`
      violations.push({ promise: NOW, atMs: endedMs, account, node, what })
    }
    const sinceMs = Math.max(beganMs, thereMs, faultFreeSinceMs(history.injectedFaults, node, endedMs))
    const waitedMs = endedMs - sinceMs
    longestMs = Math.max(longestMs, waitedMs)
    if (waitedMs <= REREAD_MS_MAX) continue
    const what = `a poll waited ${Math.round(waitedMs)} ms for ${wanted}, and got ${outcome.status}`
    violations.push({ promise: WAIT, atMs: endedMs, account, node, what })
  }
  return { violations, figures: { 'longest wait for a message that was there, ms': longestMs } }
}

/** The number that a poll waited for; undefined if it is unknown, or if the session had ended. */
function wantedSeq({ request, outcome }: Polled): number | undefined {
  if (outcome.status === 401) return undefined
  if (request.after !== undefined) return request.after + 1
  return outcome.page && (outcome.page.messages[0]?.seq ?? outcome.page.cursor + 1)
}

/** Per account, when each of its messages was certainly stored. */
function thereSinceMs({ exchanges, stored }: History): Map<string, number[]> {
  const acceptedMs = new Map<string, number>()
  for (const { outcome, endedMs } of exchanges) {
    if (outcome.id !== undefined && !acceptedMs.has(outcome.id)) acceptedMs.set(outcome.id, endedMs)
  }
  return new Map(
    stored.map(({ account, messages }) => {
      const sinceMs: number[] = []
      for (let index = messages.length - 1; index >= 0; index--) {
        const ownMs = acceptedMs.get(messages[index]?.id ?? '') ?? Number.POSITIVE_INFINITY
        sinceMs[index] = Math.min(ownMs, sinceMs[index + 1] ?? Number.POSITIVE_INFINITY)
      }
      return [account, sinceMs]
    }),
  )
}
