import { setTimeout as pause } from 'node:timers/promises'
import { Client, newName, type Person } from './client.ts'
import { eventually } from './eventually.ts'
import { CA, type PushService, type ReceivedHint, type Subscription } from './push-service.ts'
import type { Env, RunningServer } from './servers.ts'

/** Settings of servers with push. */
export const PUSH: Env = {
  PUSH: 'on',
  PUSH_SUBJECT: 'mailto:postmaster@example.org',
  PUSH_ALLOW_PRIVATE: 'on',
  VAPID_KEYS: 'yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw',
}

/** For servers in this process: gives online sessions little time to acknowledge. */
export const PUSH_WAY = { ca: CA, hintTimes: { acknowledgeMs: 1_500 } }

/** A session with a push subscription. */
export class Sleeper {
  readonly person: Person
  readonly subscription: Subscription
  readonly #service: PushService

  constructor(person: Person, service: PushService, subscription: Subscription) {
    this.person = person
    this.#service = service
    this.subscription = subscription
  }

  /** The hints sent to it so far. */
  get hints(): ReceivedHint[] {
    return this.#service.received.filter(({ endpoint }) => endpoint === this.subscription.endpoint)
  }

  get newest(): (number | undefined)[] {
    return this.hints.map(({ hint }) => hint.newest)
  }

  /** Resolves with the numbers of its hints when there are this many. */
  async got(count: number, withinMs = 20_000): Promise<(number | undefined)[]> {
    await eventually(`hint ${count}`, () => this.hints.length >= count, withinMs)
    return this.newest
  }

  /** Reads the inbox, and neither waits nor acknowledges. */
  read(away = false) {
    return this.person.poll({ wait: 0, away })
  }
}

/** A server with sleeping people. */
export class Dormitory {
  readonly client: Client
  readonly service: PushService
  readonly sender: Person
  readonly #witness: Sleeper

  private constructor(client: Client, service: PushService, sender: Person, witness: Sleeper) {
    this.client = client
    this.service = service
    this.sender = sender
    this.#witness = witness
  }

  static async at(server: Pick<RunningServer, 'url'>, service: PushService): Promise<Dormitory> {
    const client = new Client(server)
    const sender = await client.join(newName('sender'))
    const witness = await wakes(await client.join(newName('witness')), service)
    return new Dormitory(client, service, sender, witness)
  }

  async sleeper(name = newName('ada')): Promise<Sleeper> {
    return wakes(await this.client.join(name), this.service)
  }

  /**
   * Resolves when all earlier messages were processed: two hints of later messages have arrived, one after
   * the other.
   */
  async decided(): Promise<void> {
    for (const _ of [1, 2]) {
      await this.#witness.read(true)
      const known = this.#witness.hints.length
      await this.sender.send(this.#witness.person, 'Is anybody awake?')
      await this.#witness.got(known + 1)
    }
  }

  /** The same, including sessions that have time to acknowledge. */
  async decidedLate(): Promise<void> {
    await this.decided()
    // Only time passes, without an event.
    await pause(PUSH_WAY.hintTimes.acknowledgeMs * 1.2)
    await this.decided()
  }
}

/** Registers a new subscription for a session. */
export async function wakes(
  person: Person,
  service: PushService,
  subscription = service.subscribe(),
): Promise<Sleeper> {
  const { status, body } = await person.subscribe(subscription)
  if (status !== 201) throw new Error(`No subscription: ${JSON.stringify(body)}`)
  return new Sleeper(person, service, subscription)
}
