/** Requests to push services, and the meaning of their answers. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { readVapidKeys } from '../src/config/push.ts'
import { encryptHint, hintText, judge } from '../src/push/attempt.ts'
import { newHint, type PushTarget } from '../src/push/hint.ts'
import { HintSender, type HintSenderTimes } from '../src/push/hint-sender.ts'
import { RoundRobin } from '../src/push/round-robin.ts'
import { ServiceQueue } from '../src/push/service-queue.ts'
import { Vapid } from '../src/push/vapid.ts'
import { Warnings } from '../src/push/warnings.ts'
import { atTheEnd } from './support/endings.ts'
import { eventually } from './support/eventually.ts'
import { CA, PushService, type Reply } from './support/push-service.ts'
import { range } from './support/range.ts'
import { decrypt, newReceiver, verifyVapid } from './support/web-push.ts'

const SUBJECT = 'mailto:ops@chat.example'

const newKey = () => randomBytes(32).toString('base64')

function vapidWith(...keys: string[]): Vapid {
  const pairs = readVapidKeys(keys.join(','))
  assert.ok(pairs)
  return new Vapid(pairs, SUBJECT)
}

describe('a hint', () => {
  it('is decrypted by its receiver, with node:crypto only', () => {
    const receiver = newReceiver()

    const { body } = encryptHint(receiver, 42)

    assert.deepEqual(JSON.parse(decrypt(body, receiver)), { type: 'message', newest: 42 })
  })

  it('is decrypted by the code that decrypts the example of RFC 8291, appendix A', () => {
    const body =
      'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w' +
      'EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN'
    const receiver = {
      privateKey: 'q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94',
      p256dh: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
      auth: 'BTBZMqHH6r4Tts7J_aSIgg',
    }

    assert.equal(
      decrypt(Buffer.from(body, 'base64url'), receiver),
      'When I grow up, I want to be a watermelon',
    )
  })

  it('has one length, so that the push service learns nothing of the number', () => {
    const receiver = newReceiver()
    const numbers = [0, 9, 10, 1_000_000, Number.MAX_SAFE_INTEGER]

    assert.equal(new Set(numbers.map((newest) => encryptHint(receiver, newest).body.length)).size, 1)
    assert.deepEqual(JSON.parse(hintText(Number.MAX_SAFE_INTEGER)).newest, Number.MAX_SAFE_INTEGER)
  })

  it('is never encrypted twice to the same', () => {
    const receiver = newReceiver()

    assert.notDeepEqual(encryptHint(receiver, 1).body, encryptHint(receiver, 1).body)
  })
})

describe('a signature', () => {
  it('is for one service, from this server, and ends within a day', () => {
    const vapid = vapidWith(newKey())

    const { key, claims } = verifyVapid(vapid.authorization('https://push.example', vapid.current)) ?? {}

    assert.equal(key, vapid.current.publicKey)
    assert.equal(claims?.aud, 'https://push.example')
    assert.equal(claims?.sub, SUBJECT)
    const hours = ((claims?.exp ?? 0) - Date.now() / 1_000) / 3_600
    assert.ok(hours > 11 && hours < 13, `${hours} h`)
  })

  it('is reused for the same service and key, and made again when the service has refused it', () => {
    const [fresh, old] = [newKey(), newKey()]
    const vapid = vapidWith(fresh, old)
    const first = vapid.authorization('https://a.example', vapid.current)

    assert.equal(vapid.authorization('https://a.example', vapid.current), first)
    assert.notEqual(vapid.authorization('https://b.example', vapid.current), first)
    vapid.forget('https://a.example', vapid.current)
    assert.notEqual(vapid.authorization('https://a.example', vapid.current), first)
  })

  it('is made with the key of the subscription, as long as VAPID_KEYS has it', () => {
    const [fresh, old] = [newKey(), newKey()]
    const before = vapidWith(old)
    const after = vapidWith(fresh, old)

    const key = after.byId(before.current.id)
    assert.equal(key?.publicKey, before.current.publicKey)
    assert.notEqual(after.current.id, before.current.id)
    assert.equal(vapidWith(fresh).byId(before.current.id), undefined)
  })
})

describe('an answer', () => {
  const nowMs = Date.UTC(2026, 0, 1)
  const judged = (status: number, headers: Record<string, string> = {}) => judge(status, headers, nowMs)

  it('says for how long a hint is kept: a day, or less where the service says so', () => {
    const ttlOf = (ttl: string) => judged(201, { ttl })

    assert.deepEqual(judged(200), { kind: 'sent', ttlS: 86_400 })
    assert.deepEqual(ttlOf('60'), { kind: 'sent', ttlS: 60 })
    for (const ttl of ['2419200', 'soon', '-1']) assert.deepEqual(ttlOf(ttl), { kind: 'sent', ttlS: 86_400 })
  })

  it('says how long to wait: in seconds, as a date, or not at all', () => {
    const waitOf = (text: string) => judged(429, { 'retry-after': text })
    const inAMinute = new Date(nowMs + 60_000).toUTCString()

    assert.deepEqual(waitOf('5'), { kind: 'throttled', waitMs: 5_000 })
    assert.deepEqual(waitOf(inAMinute), { kind: 'throttled', waitMs: 60_000 })
    assert.deepEqual(waitOf(new Date(0).toUTCString()), { kind: 'throttled', waitMs: 0 })
    for (const text of ['soon', '-5', '']) assert.deepEqual(waitOf(text).kind, 'throttled', text)
    assert.deepEqual(judged(503, { 'retry-after': '120' }), { kind: 'unavailable', waitMs: 120_000 })
  })

  const MEANS: Record<string, number[]> = {
    sent: [200, 201, 202, 204],
    failed: [300, 301, 302, 307, 308, 413],
    rejected: [400, 405, 415],
    unauthorized: [401, 403],
    gone: [404, 410],
    throttled: [406, 408, 429, 507],
    unavailable: [500, 502, 503, 504],
  }
  for (const [kind, statuses] of Object.entries(MEANS))
    it(`${statuses.join(', ')}: ${kind}`, () => {
      for (const status of statuses) assert.equal(judged(status).kind, kind)
    })
})

/** Short enough for a test, long enough for a busy machine. */
const TIMES: HintSenderTimes = { backOffMs: 5, openMs: 60_000, refusedMs: 60_000 }

function openSender(t: TestContext, times: HintSenderTimes = {}, vapid = vapidWith(newKey())) {
  const logged: string[] = []
  const log = {
    warn: (message: string) => logged.push(message),
    info: (message: string) => logged.push(message),
  }
  const sender = new HintSender({ vapid, log, ca: CA, allowPrivate: true, times: { ...TIMES, ...times } })
  atTheEnd(t, () => sender.close())
  /** A subscription of a service, with the current key. */
  const targetAt = (service: PushService): PushTarget => {
    const { endpoint, keys } = service.subscribe()
    return { id: endpoint, endpoint, ...keys, keyId: vapid.current.id }
  }
  return { sender, targetAt, logged, vapid }
}

describe('a push service gets a hint', () => {
  it('in the form that each service needs, on a persistent connection', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt, vapid } = openSender(t)
    const target = targetAt(service)

    for (const newest of [1, 2, 3])
      assert.deepEqual(await sender.send(target, newest), { kind: 'sent', ttlS: 86_400 })

    assert.deepEqual(service.faults, [])
    assert.deepEqual(
      service.received.map(({ hint }) => hint.newest),
      [1, 2, 3],
    )
    const [first] = service.received
    assert.equal(first?.key, vapid.current.publicKey)
    assert.equal(first?.endpoint, target.endpoint)
    assert.deepEqual(
      [first?.headers['ttl'], first?.headers['urgency'], first?.headers['content-type']],
      ['86400', 'high', 'application/octet-stream'],
    )
    assert.equal(service.connections, 1)
    assert.equal(sender.results.sent, 3)
  })

  it('once per target, with the newest number, if one already waits', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { backOffMs: 300 })
    const target = targetAt(service)
    service.replyWith({ status: 503 })

    const first = sender.send(target, 1)
    await service.got(1)
    const second = sender.send(target, 2)

    assert.deepEqual(await Promise.all([first, second]), [
      { kind: 'sent', ttlS: 86_400 },
      { kind: 'sent', ttlS: 86_400 },
    ])
    assert.deepEqual(
      service.received.map(({ hint }) => hint.newest),
      [1, 2],
    )
  })

  it('with the current keys of the subscription, if one already waits', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { backOffMs: 300 })
    const target = targetAt(service)
    service.replyWith({ status: 503 })

    const first = sender.send(target, 1)
    await service.got(1)
    const { pathname, search } = new URL(target.endpoint)
    const second = sender.send({ ...target, ...service.subscribe(pathname + search).keys }, 2)

    assert.deepEqual(new Set((await Promise.all([first, second])).map(({ kind }) => kind)), new Set(['sent']))
    assert.deepEqual(
      service.received.map(({ hint }) => hint.newest),
      [1, 2],
    )
  })

  it('once more for a message that comes while a hint is under way', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { totalMs: 2_000 })
    const target = targetAt(service)
    service.replyWith('trickle')

    const first = sender.send(target, 1)
    await service.got(1)
    const later = [sender.send(target, 2), sender.send(target, 3)]

    assert.deepEqual(
      (await Promise.all([first, ...later])).map(({ kind }) => kind),
      ['sent', 'sent', 'sent'],
    )
    assert.deepEqual(
      service.received.map(({ hint }) => hint.newest),
      [1, 3],
    )
    assert.equal(sender.results.sent, 2)
  })

  it('again at once, after it has closed the connection', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { backOffMs: 60_000 })
    const target = targetAt(service)
    await sender.send(target, 1)
    service.replyWith('close')

    assert.equal((await sender.send(target, 2)).kind, 'sent')
    assert.equal(service.connections, 2)
  })
})

describe('an answer of a push service', () => {
  /** Sends one hint, which gets these replies, one per attempt. */
  const send = async (t: TestContext, replies: Reply[], times: HintSenderTimes = {}) => {
    const service = await PushService.start(t)
    const opened = openSender(t, times)
    service.replyWith(...replies)
    const startedMs = performance.now()
    const result = await opened.sender.send(opened.targetAt(service), 7)
    return { ...opened, service, result, ms: performance.now() - startedMs }
  }

  it('410 and 404: the subscription has ended', async (t) => {
    for (const status of [410, 404]) {
      const { result, service } = await send(t, [{ status }])

      assert.deepEqual(result, { kind: 'gone' })
      assert.equal(service.received.length, 1)
    }
  })

  it('500, or the end of the connection: the hint is retried, and then sent', async (t) => {
    const { result, service } = await send(t, [{ status: 500 }, 'close', { status: 502 }])

    assert.equal(result.kind, 'sent')
    assert.equal(service.received.length, 4)
  })

  it('500 five times: the hint is dropped, and the subscription stays', async (t) => {
    const { result, service, sender } = await send(t, Array(9).fill({ status: 500 }), { backOffMs: 1 })

    assert.deepEqual(result, { kind: 'failed' })
    assert.equal(service.received.length, 5)
    assert.equal(sender.results.failed, 1)
  })

  it('429 with Retry-After: the hint waits as long', async (t) => {
    const { result, service, ms } = await send(t, [{ status: 429, headers: { 'Retry-After': '1' } }])

    assert.equal(result.kind, 'sent')
    assert.equal(service.received.length, 2)
    assert.ok(ms >= 1_000, `${ms} ms`)
  })

  it('429 for longer than a hint lives: this hint is dropped at once, and the next one without an attempt', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t)
    const [throttled, other] = [targetAt(service), targetAt(service)]
    service.replyWith({ status: 429, headers: { 'Retry-After': '86400' } })

    assert.deepEqual(await sender.send(throttled, 1), { kind: 'failed' })
    assert.deepEqual(await sender.send(throttled, 2), { kind: 'failed' })
    assert.equal((await sender.send(other, 3)).kind, 'sent')
    assert.deepEqual(
      service.received.map(({ hint }) => hint.newest),
      [1, 3],
    )
  })

  it('a redirect to this machine: it is neither followed nor retried', async (t) => {
    const inside = await PushService.start(t)
    const { endpoint } = inside.subscribe()
    const { result, service } = await send(t, [{ status: 307, headers: { Location: endpoint } }])

    assert.deepEqual(result, { kind: 'failed' })
    assert.equal(service.received.length, 1)
    assert.equal(inside.connections, 0)
  })

  it('none: the request is cut off after the total time, and retried', async (t) => {
    const { result, service } = await send(t, ['hang'], { totalMs: 2_000 })

    assert.equal(result.kind, 'sent')
    assert.equal(service.received.length, 2)
  })

  it('101, another protocol: the hint is retried, and then sent', { timeout: 20_000 }, async (t) => {
    const { result, service } = await send(t, ['upgrade'])

    assert.equal(result.kind, 'sent')
    assert.equal(service.received.length, 2)
  })

  it('201 with a body that trickles: the hint is sent, and the connection is cut after the total time', async (t) => {
    const { result, service } = await send(t, ['trickle'], { totalMs: 2_000 })

    assert.equal(result.kind, 'sent')
    assert.equal(service.received.length, 1)
    await eventually('the connection is cut', () => service.underWay === 0)
  })

  it('201 with a body that does not end: the hint is sent, and the body is not read', async (t) => {
    const { result, service } = await send(t, ['flood'], { totalMs: 3_000 })

    assert.equal(result.kind, 'sent')
    await eventually('the connection is cut', () => service.underWay === 0)
    // The capacity of the buffers of both systems.
    assert.ok(service.poured < 16 * 2 ** 20, `${service.poured} bytes`)
  })

  it('400: the subscription ends with the third in a row; a success resets the count', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt, logged } = openSender(t)
    const target = targetAt(service)
    const kinds: string[] = []
    const [bad, good] = [{ status: 400, body: 'UnauthorizedRegistration' }, { status: 201 }]
    service.replyWith(bad, bad, good, bad, bad, bad)

    for (const newest of range(1, 6)) kinds.push((await sender.send(target, newest)).kind)

    assert.deepEqual(kinds, ['failed', 'failed', 'sent', 'failed', 'failed', 'gone'])
    assert.deepEqual(
      logged.map((line) => line.replace(service.origin, 'ORIGIN')),
      ['push: ORIGIN does not understand a hint: 400 UnauthorizedRegistration'],
    )
  })

  it('403 for all: this server is the cause, so nothing ends, and one warning is logged', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt, logged } = openSender(t)
    const targets = range(1, 20).map(() => targetAt(service))
    service.reply = { status: 403, body: '{"reason":"BadJwtToken"}' }

    const results = await Promise.all(targets.map((target) => sender.send(target, 1)))

    assert.deepEqual(new Set(results.map(({ kind }) => kind)), new Set(['refused']))
    assert.ok(service.received.length <= 4, `${service.received.length} tries`)
    const tries = service.received.length
    assert.deepEqual(await sender.send(targetAt(service), 2), { kind: 'refused' })
    assert.equal(service.received.length, tries)
    assert.equal(logged.length, 1)
    assert.match(logged[0] ?? '', /refuses this server \(403 .*BadJwtToken.*\): check PUSH_SUBJECT/)
  })

  it('403 for all: after a pause one hint is tried, and the subscription still exists', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { refusedMs: 1 })
    service.replyWith(...Array(6).fill({ status: 403 }))
    const target = targetAt(service)
    const kinds = new Set<string>()

    await eventually('it is taken', async () => {
      const { kind } = await sender.send(target, 4)
      kinds.add(kind)
      return kind === 'sent'
    })

    assert.deepEqual([...kinds], ['refused', 'sent'])
    assert.equal(service.received.length, 7)
  })

  it('403 for one, while others are accepted: that subscription ends with the third', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t)
    const [bad, good] = [targetAt(service), targetAt(service)]
    const kinds: string[] = []

    for (const newest of range(1, 3)) {
      await sender.send(good, newest)
      service.replyWith({ status: 403 })
      kinds.push((await sender.send(bad, newest)).kind)
    }

    assert.deepEqual(kinds, ['refused', 'refused', 'gone'])
  })
})

describe('one subscription does not delay others of its service', () => {
  const sendAll = async (t: TestContext, reply: Reply) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { backOffMs: 1 })
    const good = targetAt(service)
    await sender.send(good, 1)
    service.reply = reply
    const kinds = new Set<string>()
    for (const bad of range(1, 6).map(() => targetAt(service))) kinds.add((await sender.send(bad, 2)).kind)
    service.reply = { status: 201 }

    assert.equal((await sender.send(good, 3)).kind, 'sent')
    return [...kinds]
  }

  it('by endpoints for which the service has never accepted a hint', async (t) => {
    assert.deepEqual(await sendAll(t, { status: 403 }), ['refused'])
  })

  it('by endpoints that redirect, or that refuse the size of a hint', { timeout: 20_000 }, async (t) => {
    assert.deepEqual(await sendAll(t, { status: 301, headers: { Location: '/' } }), ['failed'])
    assert.deepEqual(await sendAll(t, { status: 413 }), ['failed'])
  })
})

describe('a push service that does not answer', () => {
  it('delays no other, however many hints wait for it', async (t) => {
    const [stalled, well] = [await PushService.start(t), await PushService.start(t)]
    const { sender, targetAt } = openSender(t, { totalMs: 60_000 })
    stalled.reply = 'hang'
    const waiting = range(1, 300).map(() => sender.send(targetAt(stalled), 1))
    await stalled.got(2)

    const results = await Promise.all(range(1, 50).map(() => sender.send(targetAt(well), 1)))

    assert.ok(results.every(({ kind }) => kind === 'sent'))
    assert.equal(stalled.received.length, 2, 'an unknown service has two connections')
    assert.ok(well.underWayMax <= 12)
    await sender.close()
    assert.deepEqual(new Set((await Promise.all(waiting)).map(({ kind }) => kind)), new Set(['failed']))
  })

  it('gets no hints after five failures, and the waiting ones when it is back', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt, logged } = openSender(t, { openMs: 300 })
    service.replyWith(...Array(5).fill({ status: 500 }))

    const sends = range(1, 10).map((newest) => sender.send(targetAt(service), newest))
    await service.got(5)
    const kinds = (await Promise.all(sends)).map(({ kind }) => kind)

    assert.deepEqual(new Set(kinds), new Set(['sent']))
    assert.deepEqual(
      logged.map((line) => line.replace(service.origin, 'ORIGIN')),
      ['push: ORIGIN does not accept hints: 500', 'push: ORIGIN accepts hints again'],
    )
  })

  it('fills the memory with no more than 2 000 hints', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { totalMs: 60_000 })
    service.reply = 'hang'
    const target = targetAt(service)

    const sends = range(1, 2_100).map((at) => sender.send({ ...target, id: `${at}` }, 1))

    assert.equal(sender.results.dropped, 100)
    await sender.close()
    await Promise.all(sends)
    assert.equal(sender.results.failed, 2_000)
  })
})

describe('services take turns', () => {
  const { current: key } = vapidWith(newKey())
  const url = new URL('https://push.example/')
  const target = { id: '', endpoint: url.href, p256dh: '', auth: '', keyId: key.id }
  const addTo = (roundRobin: RoundRobin, service: ServiceQueue, hints: number) => {
    for (const newestSeq of range(1, hints))
      roundRobin.add(newHint({ service, key, url, target, newestSeq, renewClaim: undefined }))
  }
  const serviceAt = (origin: string, accepted = 0) => {
    const service = new ServiceQueue(origin, 1_000, 1_000)
    for (const _ of range(1, accepted)) service.noteAccepted()
    return service
  }
  /** The origins of the hints that may start at once. */
  const startAll = (roundRobin: RoundRobin) => {
    const origins: string[] = []
    for (let slot = roundRobin.next(0); slot; slot = roundRobin.next(0))
      origins.push(slot.hint.service.origin)
    return origins
  }

  it('one hint each, however many wait', () => {
    const roundRobin = new RoundRobin()
    addTo(roundRobin, serviceAt('busy', 10), 100)
    addTo(roundRobin, serviceAt('a', 10), 2)
    addTo(roundRobin, serviceAt('b', 10), 1)

    assert.deepEqual(startAll(roundRobin), ['busy', 'a', 'b', 'busy', 'a', ...Array(10).fill('busy')])
  })

  it('unknown or failing services leave slots to the others', () => {
    const roundRobin = new RoundRobin()
    const failing = serviceAt('failing', 10)
    failing.noteFailed(0)
    for (const service of [failing, ...range(1, 50).map((at) => serviceAt(`unknown ${at}`))])
      addTo(roundRobin, service, 9)
    const unproven = startAll(roundRobin)
    addTo(roundRobin, serviceAt('well', 10), 50)

    assert.equal(unproven.length, 24)
    assert.deepEqual(startAll(roundRobin), Array(12).fill('well'))
  })

  it('so do slow services, until they have answered in time for a while', () => {
    const late = serviceAt('late', 10)
    for (const _ of range(1, 3)) late.noteDuration(9_000)
    assert.equal(late.isProven, false)
    late.noteDuration(100)
    assert.equal(late.isProven, false)
    for (const _ of range(1, 10)) late.noteDuration(100)
    assert.equal(late.isProven, true)
  })

  it('and there are at most 64 requests', () => {
    const roundRobin = new RoundRobin()
    for (const at of range(1, 10)) addTo(roundRobin, serviceAt(`${at}`, 10), 50)

    assert.equal(startAll(roundRobin).length, 64)
  })

  it('a circuit stays open for longer each time, up to four minutes and jitter', () => {
    const service = new ServiceQueue('down', 15_000, 600_000)
    const openMs = range(1, 20).map(() => {
      service.noteFailed(0)
      return service.openUntilMs
    })

    assert.deepEqual(openMs.slice(0, 4), [0, 0, 0, 0])
    const longest = openMs.slice(4).map((ms, at) => ms / (15_000 * 2 ** Math.min(at, 4)))
    assert.ok(
      longest.every((share) => share >= 1 && share <= 1.5),
      `${longest}`,
    )
    assert.equal(service.noteAccepted(), true)
  })
})

describe('a hint that has waited', () => {
  it('is sent only if it is still due, and not before this is checked', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t)
    service.replyWith({ status: 500 }, { status: 500 })
    const asked: number[] = []

    const result = await sender.send(targetAt(service), 1, async (forMs) => {
      asked.push(forMs)
      return asked.length < 2
    })

    assert.deepEqual(result, { kind: 'failed' })
    assert.deepEqual([asked.length, service.received.length], [2, 2])
    assert.ok(asked.every((forMs) => forMs >= 10_000))
  })

  it('is dropped when it is unknown whether it is due', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t)
    service.replyWith({ status: 500 })

    const result = await sender.send(targetAt(service), 1, () => Promise.reject(new Error('no database')))

    assert.deepEqual(result, { kind: 'failed' })
    assert.equal(service.received.length, 1)
  })

  it('is dropped when it is too old', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t, { lifeMs: 1_000 })
    service.reply = { status: 503, headers: { 'Retry-After': '2' } }

    assert.deepEqual(await sender.send(targetAt(service), 1), { kind: 'failed' })
    assert.equal(service.received.length, 1)
  })
})

describe('nothing is sent', () => {
  it('for a key that no longer exists, and one warning is logged', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt, logged } = openSender(t)
    const target = { ...targetAt(service), keyId: 'another' }

    for (const newest of [1, 2]) assert.deepEqual(await sender.send(target, newest), { kind: 'refused' })

    assert.equal(service.connections, 0)
    assert.deepEqual(logged.length, 1)
    assert.match(logged[0] ?? '', /the key another is missing from VAPID_KEYS/)
  })

  it('to invalid keys: such a subscription has ended', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t)
    const p256dh = Buffer.alloc(65, 4).toString('base64url')

    assert.deepEqual(await sender.send({ ...targetAt(service), p256dh }, 1), { kind: 'gone' })
    assert.equal(service.connections, 0)
  })

  it('after the end', async (t) => {
    const service = await PushService.start(t)
    const { sender, targetAt } = openSender(t)
    await sender.close()

    assert.deepEqual(await sender.send(targetAt(service), 1), { kind: 'failed' })
    assert.equal(service.connections, 0)
  })

  it('to private addresses, when PUSH_ALLOW_PRIVATE was switched off again', async (t) => {
    const service = await PushService.start(t)
    const { targetAt, vapid } = openSender(t)
    const log = { warn: () => undefined, info: () => undefined }
    const sender = new HintSender({ vapid, log, ca: CA, allowPrivate: false })
    atTheEnd(t, () => sender.close())

    assert.deepEqual(await sender.send(targetAt(service), 1), { kind: 'failed' })
    assert.equal(service.connections, 0)
  })
})

it('a log is not filled by services that anybody can name', async (t) => {
  const { sender, logged } = openSender(t, { backOffMs: 1 })
  const receiver = newReceiver()

  const sends = range(1, 60).map((at) =>
    sender.send({ id: `${at}`, endpoint: `https://127.0.0.1:${at}/`, ...receiver, keyId: 'another' }, at),
  )

  await Promise.all(sends)
  assert.ok(logged.length <= 20, `${logged.length} lines`)
})

it('nor by one that comes and goes', () => {
  const lines: string[] = []
  const say = (message: string) => lines.push(message)
  const warnings = new Warnings({ warn: say, info: say })

  for (const _ of range(1, 10)) {
    for (const __ of range(1, 2)) warnings.warn('a', 'a fails')
    for (const __ of range(1, 2)) warnings.over('a', 'a is back')
  }
  warnings.warn('b', 'b fails')

  assert.deepEqual(lines, [...range(1, 3).flatMap(() => ['a fails', 'a is back']), 'b fails'])
})
