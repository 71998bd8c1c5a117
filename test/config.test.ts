import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readEnvironment } from '../src/config/environment.ts'
import { configFrom, configWarnings, settingsIn } from '../src/config.ts'
import { readContract } from '../src/contract/document.ts'
import { readSecrets } from '../src/secrets.ts'
import { ConfigurationError, readConfig } from './support/built.ts'
import { Client, Person } from './support/client.ts'
import { scratchFolder } from './support/databases.ts'
import type { ReceivedHeaders } from './support/http.ts'
import { sendRaw } from './support/raw-http.ts'
import { type Env, startServer } from './support/servers.ts'

type Config = ReturnType<typeof readConfig>

interface Variable {
  key: keyof Config
  initial: unknown
  /** Valid values, and their meaning. */
  good: Record<string, unknown>
  bad: string[]
  /** For invalid values, what to write instead. */
  advice?: Record<string, string>
  /** It may contain a password, which a message must not repeat. */
  secret?: true
}

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000] as const
const LONG_SECRET = 'a secret that is long enough to be one'
const VAPID_KEY = Buffer.alloc(32, 1).toString('base64')
const SECRETS = { JWT_SECRET: LONG_SECRET, VAPID_KEYS: VAPID_KEY }
/** The maximum is ten years: beyond, a date may be invalid. */
const NO_DURATIONS = [
  ...['soon', '-1s', '1.5h', '10 s', '1w', '0x10', '1e3', 'infinity', '7', '15', '00', '7D', '1d2h'],
  ...['3651d', '87601h', '315360001', '999999999d', '100000000d'],
]
const NO_NUMBERS = ['many', '-1', '1.5', '0x10', '1e3', ' 1', '1 000', '99999999999999999999']
const MIB = 1_048_576
const NO_SIZES = ['much', '-1', '1.5MiB', '1 MiB', '1MB', '64M', '0x10', '1e3', '9000TiB']

const VARIABLES: Record<string, Variable> = {
  HOST: {
    key: 'host',
    initial: '127.0.0.1',
    good: { '0.0.0.0': '0.0.0.0', '::': '::', 'chat.example': 'chat.example' },
    bad: ['http://chat.example', 'two hosts', 'a/b', '*', '127.0.0.1,::1', ':::1'],
    advice: {
      '[::1]': 'Write ::1.',
      'localhost:3000': 'The port belongs in PORT: write localhost, and PORT=3000.',
      '[::1]:3000': 'The port belongs in PORT: write ::1, and PORT=3000.',
      ' localhost': 'Write localhost.',
    },
  },
  PORT: {
    key: 'port',
    initial: 3_000,
    good: { 0: 0, 80: 80, 65535: 65_535 },
    bad: [...NO_NUMBERS, '65536', '3000abc', '3000;'],
    advice: { '3000 ': 'Write 3000.' },
  },
  OPS_PORT: {
    key: 'opsPort',
    initial: 'off',
    good: { off: 'off', 0: 0, 9464: 9464 },
    bad: ['on', '-1', '65536', '9464a'],
  },
  OPS_SOCKET: {
    key: 'opsSocket',
    initial: 'auto',
    good: { off: 'off', '/run/restante/a.sock': '/run/restante/a.sock', './a': './a' },
    bad: ['on', 'restante.sock', '/run/', `/${'x'.repeat(107)}`],
  },
  DATABASE_URL: {
    key: 'databaseUrl',
    initial: 'file:./data/restante.db',
    good: {
      'file:/var/lib/restante.db': 'file:/var/lib/restante.db',
      'file:a b.db': 'file:a b.db',
      'file:///a.db': 'file:///a.db',
    },
    bad: [
      'restante.db',
      'file:',
      'mysql://host/name',
      'sqlite:x.db',
      'file::memory:',
      'file://host/x.db',
      'file: x.db',
      'postgresql://ada:12#secret@db/restante',
      'postgresql://ada:12/secret@db/restante',
      'postgresql://ada:12/se?cret@db/restante',
    ],
    advice: {
      'file:x.db?mode=memory':
        'The path of a SQLite file takes no parameters: remove everything from "?" on.',
      'postgresql://ada:se#cret@db/restante':
        'In the user and the password, write %23 for #, %2F for /, %3A for :, %3F for ?, %40 for @.',
    },
    secret: true,
  },
  REGISTRATION: {
    key: 'registration',
    initial: 'open',
    good: { open: 'open', invite: 'invite', closed: 'closed' },
    bad: ['on', 'OPEN', 'invites', 'false'],
  },
  TOKEN_TTL: {
    key: 'tokenTtlMs',
    initial: 7 * DAY,
    good: { '1s': SECOND, '30d': 30 * DAY, '3650d': 3_650 * DAY },
    bad: [...NO_DURATIONS, '0', '999ms'],
    advice: {
      '7': 'The unit is missing: write 7s for seconds, or 7m, 7h, 7d.',
      '7 d': 'Write 7d.',
      '24H': 'Write 24h.',
    },
  },
  SESSION_MAX: {
    key: 'sessionMaxMs',
    initial: 90 * DAY,
    good: { '1s': SECOND, '365d': 365 * DAY },
    bad: [...NO_DURATIONS, '0', 'never'],
  },
  SESSION_POLICY: {
    key: 'sessionPolicy',
    initial: 'single',
    good: { single: 'single', multi: 'multi' },
    bad: ['many', 'single,multi'],
    advice: { SINGLE: 'Write single.' },
  },
  PRESENCE_GRACE: {
    key: 'presenceGraceMs',
    initial: 10 * SECOND,
    good: { 0: 0, '0s': 0, '500ms': 500, '15s': 15 * SECOND, '2m': 2 * MINUTE },
    bad: NO_DURATIONS,
  },
  MESSAGE_LENGTH_MAX: {
    key: 'messageLengthMax',
    initial: 16_384,
    good: { 1: 1, 1048576: 1_048_576 },
    bad: [...NO_NUMBERS, '0', '1048577'],
  },
  INBOX_LIMIT: {
    key: 'inboxLimit',
    initial: 10_000,
    good: { 1: 1, 1000000: 1_000_000 },
    bad: [...NO_NUMBERS, '0'],
  },
  INBOX_BYTES: {
    key: 'inboxBytes',
    initial: 64 * MIB,
    good: { 1: 1, 500000: 500_000, '64KiB': 65_536, '2MiB': 2 * MIB, '1gib': 1_024 * MIB },
    bad: [...NO_SIZES, '0'],
    advice: { '64M': 'Write 64MiB.', '2 gb': 'Write 2GiB.', '64 MiB': 'Write 64MiB.' },
  },
  SENDER_LIMIT: {
    key: 'senderLimit',
    initial: 1_000,
    good: { 1: 1, 1000000: 1_000_000 },
    bad: [...NO_NUMBERS, '0'],
  },
  DISK_FREE_MIN: {
    key: 'diskFreeMin',
    initial: 256 * MIB,
    good: { 0: 0, '1TiB': 1_048_576 * MIB, '500MiB': 500 * MIB },
    bad: NO_SIZES,
  },
  IDEMPOTENCY_TTL: {
    key: 'idempotencyTtlMs',
    initial: DAY,
    good: { '1s': SECOND, '90m': 90 * MINUTE },
    bad: [...NO_DURATIONS, '0'],
  },
  RETENTION: {
    key: 'retentionMs',
    initial: DAY,
    good: { 0: 0, '1h': HOUR, '365d': 365 * DAY, never: Number.POSITIVE_INFINITY },
    bad: [...NO_DURATIONS, 'Never'],
  },
  MESSAGE_TTL: {
    key: 'messageTtlMs',
    initial: Number.POSITIVE_INFINITY,
    good: { never: Number.POSITIVE_INFINITY, '30d': 30 * DAY, '1s': SECOND },
    bad: [...NO_DURATIONS, '0', 'Never'],
  },
  RATE_LIMITS: {
    key: 'rateLimits',
    initial: 'on',
    good: { on: 'on', off: 'off' },
    bad: ['true', 'no'],
    advice: { OFF: 'Write off.' },
  },
  CONNECTIONS_MAX: {
    key: 'connectionsMax',
    initial: 50_000,
    good: { 1: 1, 200000: 200_000 },
    bad: [...NO_NUMBERS, '0'],
  },
  TRUST_PROXY: {
    key: 'trustProxy',
    initial: false,
    good: {
      off: false,
      loopback: 'loopback',
      '10.0.0.1,192.168.0.0/16,::1': '10.0.0.1,192.168.0.0/16,::1',
      ' loopback, 10.0.0.1 , ::1': 'loopback,10.0.0.1,::1',
    },
    bad: [
      'on',
      'true',
      '1',
      'proxy.example',
      'loopback,',
      '10.0.0.0/33',
      '0.0.0.0/0',
      '300.0.0.1',
      'loopback,,10.0.0.1',
      'loopback 10.0.0.1',
      '[::1]',
    ],
    advice: { Loopback: 'Write loopback.' },
  },
  CORS_ORIGIN: {
    key: 'corsOrigin',
    initial: [],
    good: {
      off: [],
      '*': ['*'],
      'https://a.example, http://b.example:8080': ['https://a.example', 'http://b.example:8080'],
      'capacitor://localhost,ionic://localhost, tauri://localhost': [
        'capacitor://localhost',
        'ionic://localhost',
        'tauri://localhost',
      ],
      'http://[::1]:8080': ['http://[::1]:8080'],
      'moz-extension://0a1b-2c3d': ['moz-extension://0a1b-2c3d'],
    },
    bad: [
      'on',
      'a.example',
      'https://a.example,',
      'https://',
      'https://a.example:http',
      'ftp://a.example',
      'file://localhost',
      'htps://a.example',
      'https://*.example',
    ],
    advice: {
      'https://a.example/': 'Write https://a.example, as browsers send it.',
      '*, https://a.example/path': 'Write *,https://a.example, as browsers send it.',
      'https://A.Example:443': 'Write https://a.example, as browsers send it.',
      'https://ada:pass@a.example': 'Write https://a.example, as browsers send it.',
      'https://bücher.example': 'Write https://xn--bcher-kva.example, as browsers send it.',
      'Capacitor://LocalHost/': 'Write capacitor://localhost, as browsers send it.',
      null: 'Every sandboxed page has the origin "null": write * to allow all.',
    },
  },
  WEB: { key: 'web', initial: 'on', good: { on: 'on', off: 'off' }, bad: ['ON', 'yes', 'true'] },
  PUSH: {
    key: 'push',
    initial: 'off',
    good: { off: 'off' },
    bad: ['yes', 'true'],
    advice: { ON: 'Write on.' },
  },
  PUSH_SUBJECT: {
    key: 'pushSubject',
    initial: false,
    good: Object.fromEntries(
      [
        'mailto:ops@chat.example',
        'mailto:Ada.Lovelace+push@mail.chat.example',
        'https://chat.example',
        'https://chat.example:8443/contact?to=ada#now',
        'https://Chat.Example/',
        'https://xn--bcher-kva.example',
      ].map((subject) => [subject, subject]),
    ),
    // Of these web-push takes all but the first three, and Apple none.
    bad: [
      ...['off', 'chat.example', 'http://chat.example'],
      ...[
        'mailto: ops@chat.example',
        'mailto:<ops@chat.example>',
        'mailto:ops',
        'mailto:',
        'mailto:@chat.example',
      ],
      ...['mailto:ops@localhost', 'mailto:ops@intranet', 'mailto:ops@chat.local', 'mailto:a@b.internal'],
      ...['mailto:ops@127.0.0.1', 'mailto:a@b.example,c@d.example', 'mailto:ops@chat.example?subject=push'],
      ...[
        'https://localhost',
        'https://chat.local',
        'https://127.0.0.1',
        'https://[::1]',
        'https://u:p@chat.example',
      ],
      ...[
        'https://chat.test',
        'https://chat.invalid',
        'https://x.home.arpa',
        'https://',
        'https://chat.example/a b',
      ],
    ],
    advice: {
      'ops@chat.example': 'Write mailto:ops@chat.example.',
      ' mailto:ops@chat.example': 'Write mailto:ops@chat.example.',
    },
  },
  PUSH_ALLOW_PRIVATE: {
    key: 'pushAllowPrivate',
    initial: 'off',
    good: { on: 'on', off: 'off' },
    bad: ['yes', 'true'],
  },
  LOG_LEVEL: {
    key: 'logLevel',
    initial: 'info',
    good: Object.fromEntries(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map((level) => [level, level]),
    ),
    bad: ['verbose', '30'],
    advice: { INFO: 'Write info.' },
  },
}

test('the configuration', async (t) => {
  await t.test('has a default for everything, and can be frozen', () => {
    const config = readConfig({})

    assert.deepEqual(
      { ...config },
      Object.fromEntries(Object.values(VARIABLES).map(({ key, initial }) => [key, initial])),
    )
    assert.ok(Object.isFrozen(config))
  })

  await t.test('treats an empty variable as not set', () => {
    const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, '']))

    assert.deepEqual(readConfig(empty), readConfig({}))
  })

  for (const [name, { key, good, bad, advice = {}, secret }] of Object.entries(VARIABLES)) {
    await t.test(`takes ${name}`, () => {
      for (const [text, value] of Object.entries(good))
        assert.deepEqual(readConfig({ [name]: text })[key], value, text)
    })

    await t.test(`says in one sentence what is wrong with ${name}`, () => {
      for (const text of [...bad, ...Object.keys(advice)]) {
        const [sentence, ...others] = mistakesOf({ JWT_SECRET: LONG_SECRET, [name]: text })
        assert.match(
          sentence ?? `${text} is accepted`,
          new RegExp(`^${name}: Expected .+, got .+ in the environment\\.`),
        )
        assert.equal(sentence?.includes(JSON.stringify(text)), !secret, sentence)
        assert.deepEqual(others, [])
      }
    })

    await t.test(`says what to write instead for ${name}`, () => {
      for (const [text, sentence] of Object.entries(advice)) {
        const [mistake = ''] = mistakesOf({ [name]: text })
        assert.equal(mistake.split(' in the environment. ')[1], sentence, mistake)
      }
    })
  }

  await t.test('reports all errors at once', () => {
    const wrong = Object.fromEntries(Object.entries(VARIABLES).map(([name, { bad }]) => [name, bad[0] ?? '']))

    assert.deepEqual(
      mistakesOf(wrong).map((sentence) => sentence.split(':')[0]),
      Object.keys(VARIABLES),
    )
  })
})

test('push', async (t) => {
  const on = { PUSH: 'on', PUSH_SUBJECT: 'mailto:ops@chat.example' }

  await t.test('needs a subject when it is on, and nothing when it is off', () => {
    const sentence =
      'PUSH_SUBJECT: Expected your contact for push services, such as mailto:you@example.org, ' +
      'because PUSH is on, got none.'

    for (const PUSH_SUBJECT of ['', 'none'])
      assert.deepEqual(mistakesOf({ PUSH: 'on', PUSH_SUBJECT }), [sentence])
    assert.deepEqual(mistakesOf({ PUSH_SUBJECT: 'none' }), [])
    assert.deepEqual(mistakesOf(on), [])
  })

  await t.test('needs VAPID_KEYS if several nodes may share the database', () => {
    const shared = { JWT_SECRET: LONG_SECRET, DATABASE_URL: 'postgresql://ada@db/restante' }

    assert.deepEqual(mistakesOf(shared), [])
    assert.deepEqual(mistakesOf({ ...shared, ...on }), [
      'VAPID_KEYS: Expected keys that all nodes of this database share, because PUSH is on, got none.',
    ])
    assert.deepEqual(mistakesOf({ ...shared, ...on, VAPID_KEYS: VAPID_KEY }), [])
  })

  await t.test('accepts several keys, in base64 and base64url', () => {
    const url = Buffer.alloc(32, 0xfb).toString('base64url')

    for (const VAPID_KEYS of [VAPID_KEY, url, `${VAPID_KEY}, ${url}`])
      assert.deepEqual(mistakesOf({ VAPID_KEYS }), [])
  })

  await t.test('says in one sentence that VAPID_KEYS is invalid, and does not repeat its value', () => {
    const NONE = [
      'short',
      `${VAPID_KEY},`,
      `${VAPID_KEY},short`,
      'A'.repeat(43),
      '_'.repeat(43),
      `${VAPID_KEY}A`,
    ]

    for (const VAPID_KEYS of NONE)
      assert.deepEqual(mistakesOf({ VAPID_KEYS }), [
        'VAPID_KEYS: Expected private keys of 32 bytes each, in base64, separated by commas, ' +
          'got something else in the environment.',
      ])
  })
})

/** A folder with this `.env`, which only its owner can read. */
function withEnvFile(t: TestContext, content: string | Buffer, mode = 0o600) {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, '.env'), content)
  chmodSync(join(folder, '.env'), mode)
  return folder
}

test('.env', async (t) => {
  const read = (content: string | Buffer, env: Env = {}) => readEnvironment(env, withEnvFile(t, content))

  await t.test('need not exist', (t) => {
    const { values, lines, errors, warnings } = readEnvironment({ PORT: '80' }, scratchFolder(t))

    assert.deepEqual({ ...values, PORT: undefined }, { ...readEnvironment({}, scratchFolder(t)).values })
    assert.deepEqual([values['PORT'], [...lines], errors, warnings], ['80', [], [], []])
  })

  await t.test('sets variables that the environment does not set, or sets to an empty text', () => {
    const environment = read('PORT=1\nHOST=::\nLOG_LEVEL=warn\nRETENTION=\n', { PORT: '2', HOST: '' })
    const { port, host, logLevel, retentionMs } = configFrom(environment)

    assert.deepEqual([port, host, logLevel, retentionMs], [2, '::', 'warn', DAY])
    assert.deepEqual(environment.warnings, [])
  })

  const written: Record<string, string> = {
    'plain, and on': 'HOST=chat.example',
    'with spaces around it': '  HOST = chat.example  ',
    'with a tab before it': '\tHOST=chat.example',
    'for a shell, too': 'export HOST=chat.example',
    'in double quotes': 'HOST="chat.example"',
    'in single quotes': "HOST='chat.example'",
    'before a comment': 'HOST=chat.example # where it is',
    'in quotes before a comment': 'HOST="chat.example"# where it is',
    'behind a byte order mark': '\uFEFFHOST=chat.example',
    'between comments and empty lines': '# one = 1\n\n  \n  # two\nHOST=chat.example\n#three',
    'with the ends of lines of Windows': '# one\r\nHOST=chat.example\r\nPORT=80\r\n',
  }
  for (const [how, content] of Object.entries(written)) {
    await t.test(`takes a value ${how}`, () => {
      const { values, errors, warnings } = read(content)
      assert.deepEqual([values['HOST'], errors, warnings], ['chat.example', [], []])
    })
  }

  await t.test('keeps quoted values unchanged', () => {
    const { values, errors } = read('JWT_SECRET="a#b=c \'d\'" # two\nDATABASE_URL=\'file:$HOME "x" #1\'\n')

    assert.deepEqual(errors, [])
    assert.deepEqual([values['JWT_SECRET'], values['DATABASE_URL']], ["a#b=c 'd'", 'file:$HOME "x" #1'])
  })

  const misread: Record<string, [line: string, says: RegExp]> = {
    'without "="': ['PORT 80', /Expected NAME=value/],
    'of another language': ['PORT: 80', /Expected NAME=value/],
    'that begins with "="': ['=80', /Expected NAME=value/],
    'with a name of two words': ['set PORT=80', /Expected NAME=value/],
    'with "#" in a value': ['JWT_SECRET=hidden#hidden', /^JWT_SECRET: "#" begins a comment/],
    'with "#" as a value': ['JWT_SECRET=#hidden', /^JWT_SECRET: "#" begins a comment/],
    'with a quote that does not end': ['JWT_SECRET="hidden', /^JWT_SECRET: The quote \("\) does not end/],
    'with something behind quotes': ["JWT_SECRET='hidden'hidden", /^JWT_SECRET: There is text after/],
    'with a variable in a value': [`DATABASE_URL=file:\${HOME}/x.db`, /^DATABASE_URL: "\$" is literal here/],
    'with a variable in quotes': ['DATABASE_URL="file:$HOME/x.db"', /^DATABASE_URL: "\$" is literal here/],
    'with a command in a value': ['JWT_SECRET=$(hidden)', /^JWT_SECRET: "\$" is literal here/],
    'that sets a name again': ['LOG_LEVEL=info', /^LOG_LEVEL: It is already set in line 1\.$/],
  }
  for (const [what, [line, says]] of Object.entries(misread)) {
    await t.test(`is refused with a line ${what}, which is named but not shown`, () => {
      const { errors, values } = read(`LOG_LEVEL=warn\n# two\n${line}\nINBOX_LIMIT=7\n`)

      const [mistake = '', ...others] = errors
      assert.match(mistake, /^\.env, line 3: .+\.$/)
      assert.match(mistake.slice('.env, line 3: '.length), says)
      assert.doesNotMatch(mistake, /hidden/)
      assert.deepEqual(others, [])
      assert.deepEqual([values['LOG_LEVEL'], values['INBOX_LIMIT']], ['warn', '7'])
    })
  }

  await t.test('is refused, with its name, when it exists and cannot be read', (t) => {
    const [folder, link] = [scratchFolder(t), scratchFolder(t)]
    mkdirSync(join(folder, '.env'))
    symlinkSync(join(link, 'nothing'), join(link, '.env'))
    for (const place of [folder, link]) {
      const [mistake = '', ...others] = readEnvironment({}, place).errors
      assert.ok(mistake.startsWith(`${join(place, '.env')} cannot be read: `), mistake)
      assert.deepEqual(others, [])
    }
  })

  await t.test('is refused when it is not UTF-8', () => {
    for (const content of [Buffer.from('\uFEFFPORT=80', 'utf16le'), Buffer.from('PORT=80', 'utf16le')])
      assert.match(read(content).errors.join(), /\/\.env: Expected UTF-8\..+UTF-16\.$/)
  })

  await t.test('is refused when it belongs to another user in a folder that all may write to', (t) => {
    if (process.getuid?.() !== 0) return
    const folder = withEnvFile(t, 'PORT=80\n')
    chownSync(join(folder, '.env'), 1_234, 1_234)
    assert.deepEqual(readEnvironment({}, folder).errors, [])

    chmodSync(folder, 0o1777)
    const [mistake = ''] = readEnvironment({}, folder).errors
    assert.match(mistake, /\/\.env belongs to another user, 1234/)
  })

  await t.test('may have unknown names, which are ignored with a warning', () => {
    const { values, warnings } = read('POSTGRES_PASSWORD=$x\nNODE_TLS_REJECT_UNAUTHORIZED=0\nTOKEN_TLL=7d\n')

    assert.equal(values['NODE_TLS_REJECT_UNAUTHORIZED'], undefined)
    assert.deepEqual(warnings, [
      '.env, line 1: POSTGRES_PASSWORD is unknown and ignored.',
      '.env, line 2: NODE_TLS_REJECT_UNAUTHORIZED is unknown and ignored.',
      '.env, line 3: TOKEN_TLL is unknown and ignored. Did you mean TOKEN_TTL?',
    ])
  })

  await t.test('gets a warning when others can read it and it has a secret', (t) => {
    const warningsOf = (content: string, mode: number) =>
      readEnvironment({}, withEnvFile(t, content, mode)).warnings.join('\n')
    const secret = 'JWT_SECRET=hidden\nDATABASE_URL=postgresql://ada:hidden@db/restante\n'

    for (const mode of [0o644, 0o640])
      assert.match(
        warningsOf(secret, mode),
        /^Other users can read .+\/\.env, which contains .+\(DATABASE_URL, JWT_SECRET\)/,
      )
    assert.doesNotMatch(warningsOf(secret, 0o644), /hidden/)
    assert.equal(warningsOf(secret, 0o600), '')
    assert.equal(warningsOf('DATABASE_URL=postgresql://db/restante\n', 0o644), '')
  })

  await t.test('is named in a refusal as the source of a value', () => {
    const environment = read('PORT=http\n\nJWT_SECRET=hidden\nnothing\n', {
      RETENTION: 'soon',
      TOKEN_TLL: '7d',
    })

    assert.throws(
      () => configFrom(environment),
      ({ errors }: { errors: string[] }) => {
        assert.deepEqual(errors, [
          '.env, line 4: Expected NAME=value, or # before a comment.',
          'PORT: Expected a whole number from 0 to 65535, got "http" in .env, line 1.',
          'RETENTION: Expected a duration such as 10s, 30m, 24h or 7d, of at most 3650d, or "never", ' +
            'got "soon" in the environment.',
          'JWT_SECRET: Expected secrets of at least 32 bytes each, separated by commas, ' +
            'got a shorter one in .env, line 3.',
          'TOKEN_TLL is unknown and ignored. Did you mean TOKEN_TTL?',
        ])
        return true
      },
    )
  })
})

test('every setting is shown with its source, and without secrets', (t) => {
  const url = 'postgresql://ada:hidden@db/restante?sslmode=require&password=hidden&sslpassword=hidden'
  const folder = withEnvFile(t, `RETENTION=1h\nDATABASE_URL='${url}'\n`)
  const settings = settingsIn(readEnvironment({ ...SECRETS, PORT: '80' }, folder))

  assert.deepEqual(
    settings.map(({ name }) => name),
    [...Object.keys(VARIABLES), 'JWT_SECRET', 'VAPID_KEYS'],
  )
  const shownSettings = Object.fromEntries(settings.map(({ name, value, source }) => [name, [value, source]]))
  assert.deepEqual(shownSettings['PORT'], ['80', 'environment'])
  assert.deepEqual(shownSettings['RETENTION'], ['1h', '.env, line 1'])
  assert.deepEqual(shownSettings['TOKEN_TTL'], ['7d', 'default'])
  for (const name of Object.keys(SECRETS)) assert.deepEqual(shownSettings[name], ['***', 'environment'])
  const shown = 'postgresql://ada:***@db/restante?sslmode=require&password=***&sslpassword=***'
  assert.deepEqual(shownSettings['DATABASE_URL'], [shown, '.env, line 2'])
  for (const cut of ['12#hidden', '12/hidden', '12?hidden', 'a/hidden', '12/a?hidden'])
    for (const rest of ['', '/restante?pass%77ord=hidden']) {
      const database = settingsIn(
        readEnvironment({ DATABASE_URL: `postgresql://ada:${cut}@db${rest}` }, folder),
      )
      assert.doesNotMatch(JSON.stringify(database), /hidden/)
    }
  const value = 'created at the first start, kept beside the database'
  assert.deepEqual(
    settingsIn(readEnvironment({}, scratchFolder(t))).slice(-2),
    Object.keys(SECRETS).map((name) => ({ name, value, source: 'default' })),
  )
})

test('a name that resembles a known one', async (t) => {
  const warningsFor = (env: Env) => readEnvironment(env, scratchFolder(t)).warnings

  const slips: Record<string, string> = {
    TOKEN_TLL: 'TOKEN_TTL',
    TOKENTTL: 'TOKEN_TTL',
    token_ttl: 'TOKEN_TTL',
    DATABASE_URI: 'DATABASE_URL',
    JWT_SECRETS: 'JWT_SECRET',
    CORS_ORIGINS: 'CORS_ORIGIN',
    LOGLEVEL: 'LOG_LEVEL',
  }
  for (const [slip, known] of Object.entries(slips)) {
    await t.test(`gets a warning: ${slip}`, () => {
      assert.deepEqual(warningsFor({ [slip]: '1' }), [
        `${slip} is unknown and ignored. Did you mean ${known}?`,
      ])
    })
  }

  await t.test('gets none when the known one is also set, or when it is empty', () => {
    assert.deepEqual(warningsFor({ TOKEN_TLL: '1d', TOKEN_TTL: '7d' }), [])
    assert.deepEqual(warningsFor({ TOKEN_TLL: '' }), [])
  })

  await t.test('gets none when it is short, dissimilar, or of another program', () => {
    const others = ['HOSTS', 'PORTS', 'HOSTNAME', 'POST', 'TOKEN', 'DATABASE', 'NODE_ENV', 'PATH', 'LOGNAME']
    const kubernetes = [
      'API_PORT',
      'OPS_PORT_80_TCP',
      'OPS_PORT_80_TCP_ADDR',
      'OPS_SERVICE_HOST',
      'OPS_SERVICE_PORT',
    ]
    const npm = ['npm_config_loglevel', 'npm_package_name', 'NPM_LEVEL']
    const env = Object.fromEntries([...others, ...kubernetes, ...npm].map((name) => [name, '1']))

    assert.deepEqual(warningsFor(env), [])
  })
})

function mistakesOf(env: Env): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error))
    return error.errors
  }
}

test('a JWT_SECRET that is too short is refused', () => {
  for (const secret of ['short', `${LONG_SECRET},short`, `${LONG_SECRET},`, ',', `${'x'.repeat(31)}`]) {
    const [sentence = '', ...others] = mistakesOf({ JWT_SECRET: secret })
    assert.match(sentence, /^JWT_SECRET: Expected .+$/)
    assert.deepEqual(others, [])
  }
})

test('a server that starts again with other settings', async (t) => {
  const folder = join(scratchFolder(t), 'made', 'data')
  const file = join(folder, 'restante.db')
  const secretFile = `${file}.jwt-secret`
  const first = await startServer(t, {}, `file:${file}`)
  const ada = await new Client(first).join('ada')
  await ada.send('ada', 'longer than ten')
  await first.stop()
  const secret = readFileSync(secretFile, 'utf8')
  const again = await startServer(t, { MESSAGE_LENGTH_MAX: '10', TOKEN_TTL: '1h' }, `file:${file}`)
  const client = new Client(again)
  const adaAgain = new Person(client, 'ada', ada.token, ada.cursor)

  await t.test('has a secret of its own beside the database, readable only by its owner', () => {
    assert.equal(statSync(secretFile).mode & 0o777, 0o600)
    for (const made of [folder, dirname(folder)])
      assert.equal(statSync(made).mode & 0o777, 0o700, 'the folder is open to others')
    assert.ok(Buffer.from(secret.trim(), 'base64url').length >= 32)
  })

  await t.test('keeps the secret, so that tokens survive a restart', async () => {
    assert.equal(readFileSync(secretFile, 'utf8'), secret)
    assert.equal((await adaAgain.user('ada')).status, 200)
  })

  await t.test('MESSAGE_LENGTH_MAX limits new messages, not stored ones', async () => {
    assert.equal((await adaAgain.send('ada', 'x'.repeat(10))).status, 201)
    const refused = await adaAgain.send('ada', 'x'.repeat(11))
    assert.deepEqual([refused.status, refused.body.errors[0].pointer], [400, '/body'])
    assert.deepEqual(
      (await adaAgain.poll({ after: 0, wait: 0 })).body.messages.map(({ body }: { body: string }) => body),
      ['longer than ten', 'x'.repeat(10)],
    )
  })

  await t.test('TOKEN_TTL is how long a token lives', async () => {
    await client.register('bob')
    const startedMs = Date.now()

    const { body } = await client.login('bob')

    const livesMs = Date.parse(body.expiresAt) - startedMs
    assert.ok(livesMs > HOUR - 2 * SECOND && livesMs < HOUR + MINUTE, `it lives ${livesMs} ms`)
  })
})

test("the server's own secret", async (t) => {
  const secretFileOf = (t: TestContext) => join(scratchFolder(t), 'restante.db.jwt-secret')

  await t.test('is different for another database', (t) => {
    const [one, other] = [secretFileOf(t), secretFileOf(t)].map((file) => readSecrets({}, file, () => {}).jwt)

    assert.notDeepEqual(one, other)
  })

  await t.test('is not created when JWT_SECRET is set', (t) => {
    const none = secretFileOf(t)

    assert.deepEqual(readSecrets({ JWT_SECRET: LONG_SECRET }, none, () => {}).jwt, [LONG_SECRET])
    assert.ok(!existsSync(none))
  })

  await t.test('is not trusted when it was truncated', (t) => {
    const truncated = secretFileOf(t)
    writeFileSync(truncated, 'short\n', { mode: 0o600 })

    assert.throws(() => readSecrets({}, truncated, () => {}), {
      name: 'ConfigurationError',
      message: /^\S+restante\.db\.jwt-secret: Expected .+$/,
    })
  })
})

test('allowed but unlikely settings get a warning at the start, one sentence each', async (t) => {
  const doubtful = { HOST: '0.0.0.0', INBOX_BYTES: '65535', TOKEN_TTL: '2d', SESSION_MAX: '1d' }
  const push = { PUSH: 'on', PUSH_SUBJECT: 'mailto:ops@chat.example', PUSH_ALLOW_PRIVATE: 'on' }
  const { logs } = await startServer(t, { ...doubtful, ...push })
  const warned = logs.filter(({ level }) => level >= 40).map(({ msg }) => msg)

  assert.deepEqual(
    warned.map((sentence) => sentence.split(':')[0]),
    ['REGISTRATION', 'PUSH_ALLOW_PRIVATE', 'INBOX_BYTES', 'SESSION_MAX'],
  )
  for (const sentence of warned) assert.match(sentence, /^[A-Z_]+: [^\n]{40,}\.$/)
  const meant = { HOST: '0.0.0.0', REGISTRATION: 'invite', INBOX_BYTES: '65536', TOKEN_TTL: '1d' }
  assert.deepEqual(configWarnings(readConfig({ ...meant, SESSION_MAX: '1d' })), [])
})

test('the log contains no token, password, body or secret, at any level', async (t) => {
  const secret = 'a secret that must not be shown to anyone'
  const server = await startServer(t, { LOG_LEVEL: 'trace', JWT_SECRET: secret, SESSION_POLICY: 'multi' })
  const client = new Client(server)
  const [password, next, guess, body, key] = ['password', 'next', 'guess', 'body', 'key'].map(
    (word) => `${word}-${randomUUID()}`,
  ) as [string, string, string, string, string]
  const unreadable = `unreadable-${randomUUID()}`

  await client.register('ada', password)
  await client.register('ada', password)
  const { token, cursor } = (await client.login('ada', { password })).body
  await client.login('ada', { password: guess })
  const ada = new Person(client, 'ada', token, cursor)
  const renewed = (await ada.request('POST', '/v1/token')).body.token
  await ada.send('ada', body, key)
  await ada.send('ada', `${body}!`, key)
  await ada.send('nobody', body)
  const { id, token: device } = (await ada.request('POST', '/v1/me/tokens', { body: { name: body } })).body
  for (const path of ['/v1/users/ada/messages', '/v1/users/nobody/messages', '/v1/logout'])
    await client.post(path, body, { token: device, headers: { 'content-type': 'text/plain' } })
  await client.post('/v1/users/ada/messages', unreadable, { token: device })
  await ada.request('DELETE', `/v1/me/tokens/${id}`)
  await client.get(`/v1/messages/${id}`, { token: device })
  await ada.poll({ wait: 0 })
  await ada.poll({ after: 99 })
  for (const malformed of [
    `{"to":"ada","body":"${unreadable}`,
    `{"${unreadable}":1}`,
    `{"to":"${unreadable} "}`,
  ])
    await ada.request('POST', '/v1/messages', { body: malformed })
  await ada.request('GET', `/v1/users/%${unreadable}`)
  await client.get('/v1/inbox', { token: `${token}x` })
  await client.get('/v1/inbox', { headers: { authorization: `Bearer ${unreadable}` } })
  await ada.request('PUT', '/v1/me/password', { body: { current: guess, new: next } })
  await ada.request('PUT', '/v1/me/password', { body: { current: password, new: next } })
  await ada.request('POST', '/v1/me/delete', { body: { password: next } })
  await client.get('/v1/inbox', { token })
  await server.stop()

  const log = JSON.stringify(server.logs)
  assert.ok(server.logs.length > 20, 'nothing was logged')
  assert.match(log, /"reqId"/)
  const tokens = [token, renewed, device, device.slice(-8)]
  for (const text of [password, next, guess, body, key, unreadable, secret, ...tokens, '$argon2id$'])
    assert.ok(!log.includes(text), `the log contains ${text}`)
  for (const part of [token, renewed].map((whole: string) => whole.split('.')[2] ?? ''))
    assert.ok(!log.includes(part), 'the log tells the signature of a token')
})

test('pages of other origins', async (t) => {
  const preflight = (url: string, origin: string, method = 'POST') =>
    fetch(`${url}/v1/messages`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,content-type,idempotency-key',
      },
    })
  const listIn = (headers: ReceivedHeaders, name: string) =>
    headers.get(`access-control-${name}`)?.split(/, ?/) ?? []

  const allowed = await startServer(t, { CORS_ORIGIN: 'https://chat.example, capacitor://localhost' })

  await t.test('may not use the API by default', async (t) => {
    const { url } = await startServer(t)

    assert.equal((await preflight(url, 'https://chat.example')).status, 405)
    const response = await fetch(`${url}/healthz`, { headers: { origin: 'https://chat.example' } })
    assert.equal(response.headers.get('access-control-allow-origin'), null)
  })

  await t.test('may use it when CORS_ORIGIN names them, without credentials', async () => {
    const { url } = allowed
    for (const origin of ['https://chat.example', 'capacitor://localhost']) {
      const { status, headers } = await preflight(url, origin)
      assert.equal(status, 204)
      assert.equal(headers.get('access-control-allow-origin'), origin)
      const { methods, parameters } = contractHeaders()
      for (const method of methods) assert.ok(listIn(headers, 'allow-methods').includes(method), method)
      for (const name of ['Authorization', 'Content-Type', ...parameters])
        assert.ok(listIn(headers, 'allow-headers').includes(name), name)
      assert.equal(headers.get('access-control-max-age'), '7200')
      assert.equal(headers.get('access-control-allow-credentials'), null)
    }
    const stranger = await preflight(url, 'https://evil.example')
    assert.notEqual(stranger.headers.get('access-control-allow-origin'), 'https://evil.example')
  })

  await t.test('can read the headers of an answer, also of a refusal', async () => {
    const { url } = allowed
    for (const path of ['/healthz', '/v1/inbox', '/v1/nothing']) {
      const { headers } = await fetch(`${url}${path}`, { headers: { origin: 'https://chat.example' } })
      assert.equal(headers.get('access-control-allow-origin'), 'https://chat.example', path)
      for (const name of ['Date', 'ETag', ...contractHeaders().responses])
        assert.ok(listIn(headers, 'expose-headers').includes(name), `${path}: ${name}`)
    }
  })

  await t.test('can read refusals of unreadable requests', async () => {
    const ask = (line: string, origin: string, header = '') =>
      sendRaw(allowed.url, `${line} HTTP/1.1\r\nOrigin: ${origin}\r\n${header}Connection: close\r\n\r\n`)

    for (const [line, header] of [
      ['GET /healthz', ''],
      ['GET /healthz', 'Host: a\r\nHost: b\r\n'],
      ['GET /healthz', 'Host: test\r\nX Y: z\r\n'],
      ['GET /healthz', `Host: test\r\nX: ${'x'.repeat(9_000)}\r\n`],
      ['GET /v1/users/%zz', 'Host: test\r\n'],
      ['CONNECT test:443', 'Host: test\r\n'],
    ] as const) {
      const { status, headers } = await ask(line, 'capacitor://localhost', header)
      const title = `${line} ${header.slice(0, 40)}: ${status}`
      assert.ok(status >= 400, title)
      // The headers of a tunnel request are not kept, because no page can send one.
      const expected = line.startsWith('CONNECT') ? null : 'capacitor://localhost'
      assert.equal(headers.get('access-control-allow-origin'), expected, title)
      assert.match(headers.get('vary') ?? '', /Origin/, title)
      if (expected) assert.ok(listIn(headers, 'expose-headers').includes('Date'), title)
      assert.equal(
        (await ask(line, 'https://evil.example', header)).headers.get('access-control-allow-origin'),
        null,
      )
    }
  })

  await t.test('are separate in caches, also for the page: Vary names both', async () => {
    assert.equal((await fetch(allowed.url)).headers.get('vary'), 'Origin, Accept-Encoding')
  })

  await t.test('may all use it when CORS_ORIGIN is *', async (t) => {
    const { url } = await startServer(t, { CORS_ORIGIN: '*' })

    assert.equal(
      (await preflight(url, 'https://any.example')).headers.get('access-control-allow-origin'),
      '*',
    )
  })

  await t.test('do not change the answer to a request that is no preflight', async () => {
    const client = new Client(allowed)

    const answer = await client.request('OPTIONS', '/v1/messages')

    assert.deepEqual([answer.status, answer.body.code], [405, 'method_not_allowed'])
    assert.equal(answer.headers.get('allow'), 'POST')
    assert.equal((await client.request('OPTIONS', '/v1/nothing')).status, 404)
  })
})

/** The methods, request headers and response headers of the contract. */
function contractHeaders() {
  const { operations } = readContract(readConfig({}))
  const responses = operations.flatMap(
    (operation) => Object.values(operation.responses) as { headers?: object }[],
  )
  const parameters = operations.flatMap((operation) => operation.parameters)
  // Pages may read Cache-Control anyway, and Connection is not for them (Fetch §2.2.6).
  const names = responses.flatMap(({ headers = {} }) => Object.keys(headers))
  return {
    methods: [...new Set(operations.flatMap(({ methods }) => methods))],
    parameters: parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name),
    responses: [...new Set(names)].filter((name) => !['Cache-Control', 'Connection'].includes(name)),
  }
}
