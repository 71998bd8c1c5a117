import { checkAnswers } from './checks/answers.ts'
import type { Violation } from './checks/finding.ts'
import { checkReadings } from './checks/readings.ts'
import { checkReceipts } from './checks/receipts.ts'
import { checkSessions } from './checks/sessions.ts'
import { checkStored } from './checks/stored.ts'
import { checkWaits } from './checks/waits.ts'
import type { Exchange, History } from './history.ts'

const CHECKS = [checkAnswers, checkStored, checkReceipts, checkReadings, checkWaits, checkSessions]

/** How much of the history is shown around a violation. */
const BEFORE_MS = 30_000
const AFTER_MS = 1_000
const LINES_MAX = 60

export interface Judgement {
  violations: Violation[]
  figures: Record<string, number>
  /** Each violation, with the events around it. */
  stories: string[]
}

export function judge(history: History): Judgement {
  const findings = CHECKS.map((check) => check(history))
  const violations = findings.flatMap(({ violations }) => violations)
  return {
    violations,
    figures: Object.assign({}, ...findings.map(({ figures }) => figures)),
    stories: violations.map((violation) => tell(violation, history)),
  }
}

function tell(
  { promise, what, account, node, atMs }: Violation,
  { exchanges, injectedFaults }: History,
): string {
  const isNear = ({ fromMs, toMs }: { fromMs: number; toMs: number }) =>
    toMs > atMs - BEFORE_MS && fromMs < atMs + AFTER_MS
  const lines = [
    ...injectedFaults.filter(isNear).map(({ what: fault, node: who = 'all nodes', fromMs, toMs }) => ({
      atMs: fromMs,
      line: `*** ${fault}: ${who}, until ${seconds(toMs)}`,
    })),
    ...exchanges
      .filter((one) => account !== undefined && (one.account === account || isTo(one, account)))
      .filter(({ beganMs, endedMs }) => isNear({ fromMs: beganMs, toMs: endedMs }))
      .map((exchange) => ({ atMs: exchange.endedMs, line: describe(exchange) })),
  ]
  lines.sort((a, b) => a.atMs - b.atMs)
  const where = [account, node].filter(Boolean).join(' at ')
  return [
    `Broken: ${promise}`,
    `  ${seconds(atMs)} ${where}: ${what}`,
    ...lines.slice(-LINES_MAX).map(({ atMs: at, line }) => `    ${seconds(at)} ${line}`),
  ].join('\n')
}

const isTo = ({ request }: Exchange, account: string) => request.kind === 'send' && request.to === account

function describe({ account, session, node, request, outcome, beganMs }: Exchange): string {
  const { kind, ...rest } = request
  const page =
    outcome.page && `${outcome.page.messages.map(({ seq }) => seq).join(' ')} cursor ${outcome.page.cursor}`
  const said = [outcome.status, outcome.code, outcome.id, page].filter((part) => part !== undefined).join(' ')
  return `${session ?? account} ${kind} ${JSON.stringify(rest)} at ${node} since ${seconds(beganMs)}: ${said}`
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(3)}`
