import { percentile } from './normal-client.ts'
import type { Outcome } from './run.ts'

const MIB = 1_048_576

const P99_MS_MAX = 250
/** Relative to the normal client alone. */
const P99_FACTOR_MAX = 5

const p99Of = ({ alone, attacked }: Outcome) => ({
  aloneMs: percentile(alone.latenciesMs, 0.99),
  attackedMs: percentile(attacked.latenciesMs, 0.99),
})

/** The missed targets of an outcome, in words; empty if the normal client hardly noticed. */
export function missesOf(outcome: Outcome): string[] {
  const { attacked, besides, backAfterMs } = outcome
  const { aloneMs, attackedMs } = p99Of(outcome)
  const misses: string[] = [...new Set([...attacked.failures, ...besides])]
  if (attackedMs > P99_MS_MAX) misses.push(`p99 above ${P99_MS_MAX} ms`)
  if (attackedMs > aloneMs * P99_FACTOR_MAX) misses.push(`p99 ${(attackedMs / aloneMs).toFixed(1)} times`)
  if (backAfterMs === undefined) misses.push('memory or descriptors not back within 10 %')
  return misses
}

/** The table of docs/security.md. */
export function attackTable(outcomes: Outcome[]): string {
  const head = [
    'attack',
    'cost to the attacker',
    'p99 alone',
    'p99 under attack (worst)',
    '`/healthz` alone, under attack',
    'memory before, peak, after',
    'descriptors before, peak, after',
    'missed',
  ]
  const rows = outcomes.map((outcome) => {
    const { shape, holdings, healthP99Ms, backAfterMs } = outcome
    const { aloneMs, attackedMs } = p99Of(outcome)
    const { before, peak, after } = holdings
    const all = [before, peak, after]
    const back = backAfterMs === undefined ? '' : ` in ${Math.ceil(backAfterMs / 1_000)} s`
    return [
      shape.title,
      shape.cost,
      ms(aloneMs),
      `${ms(attackedMs)} (${ms(Math.max(...outcome.attacked.latenciesMs))})`,
      `${ms(healthP99Ms.before)}, ${ms(healthP99Ms.during)}`,
      `${all.map(({ memoryBytes }) => Math.round(memoryBytes / MIB)).join(', ')} MiB${back}`,
      all.map(({ descriptors }) => descriptors).join(', '),
      missesOf(outcome).join('; ') || 'nothing',
    ]
  })
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const ms = (time: number) => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`

/** The effect of one attack, in one line. */
export function summaryOf(outcome: Outcome): string {
  const { shape, counts, attacked, alone, diskGrowthBytes } = outcome
  const { aloneMs, attackedMs } = p99Of(outcome)
  const worst = Math.max(...attacked.latenciesMs)
  return (
    `${shape.name}: p99 ${ms(aloneMs)} (${alone.latenciesMs.length}) to ${ms(attackedMs)} ` +
    `(${attacked.latenciesMs.length}, worst ${ms(worst)}); attacker: ${JSON.stringify(counts)}; ` +
    `holdings ${JSON.stringify(outcome.holdings)}; disk +${Math.round(diskGrowthBytes / MIB)} MiB; ` +
    `missed: ${missesOf(outcome).join('; ') || 'nothing'}`
  )
}
