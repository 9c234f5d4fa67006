import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  ConfigError,
  configTable,
  readConfig,
  type Shape,
  writeConfig,
} from '../../src/system/config.ts'
import { agentShape, clientShape, trackerShape } from '../../src/system/config-shapes.ts'

const shape = {
  name: { type: 'text', doc: 'Who we are.' },
  key: { type: 'path', default: 'key.pem', doc: 'Our key.' },
  level: { type: 'text', default: 'info', oneOf: ['info', 'warn'], doc: 'How loud.' },
  'broker.url': { type: 'text', optional: true, doc: 'Where | the broker is.' },
  'limits.copies': { type: 'number', default: 2, doc: 'How many.' },
  'limits.reserve': { type: 'size', default: '1GiB', doc: 'How much.' },
  'limits.idle': { type: 'duration', default: '90s', doc: 'How long.' },
  'limits.rate': { type: 'rate', default: '6Mbit/s', doc: 'How fast.' },
  'limits.eager': { type: 'flag', default: false, doc: 'Whether at all.' },
  'limits.hours': { type: 'hours', default: [], doc: 'When.' },
  'exchange.urls': { type: 'list', default: [], doc: 'Where to.' },
} as const satisfies Shape

const fileWith = (t: Test, text: string): string => {
  const path = join(t.testdir(), 'colonnade.toml')
  writeFileSync(path, text)
  return path
}

/** What reading complains about, without the file's name, and the hint. */
function complaint(path: string): [sentence: string, hint: string] {
  try {
    readConfig(path, shape)
  } catch (error) {
    if (error instanceof ConfigError && error.message.startsWith(`${path}: `)) {
      return [error.message.slice(path.length + 2), error.hint]
    }
    throw error
  }
  throw new Error('it did not complain')
}

t.test('every kind of value is read, and defaults stand in', async (t) => {
  const path = fileWith(
    t,
    `config = 1
    name = "attic"
    key = "../keys/attic.pem"
    level = "warn"
    [limits]
    reserve = "16MiB"
    idle = "30d"
    rate = "2MiB/s"
    eager = true
    hours = ["22:00-06:00"]
    [exchange]
    urls = ["https://a:1", "https://b:2"]`,
  )
  t.strictSame(readConfig(path, shape), {
    values: {
      name: 'attic',
      key: join(path, '../../keys/attic.pem'),
      level: 'warn',
      'broker.url': undefined,
      'limits.copies': 2,
      'limits.reserve': 16 * 1024 * 1024,
      'limits.idle': 30 * 86_400_000,
      'limits.rate': 2 * 1024 * 1024,
      'limits.eager': true,
      'limits.hours': [{ from: 1320, to: 360 }],
      'exchange.urls': ['https://a:1', 'https://b:2'],
    },
    warnings: [],
  })
  const bare = readConfig(fileWith(t, 'config = 1\nname = "attic"'), shape).values
  t.equal(bare['limits.reserve'], 1024 ** 3)
  t.equal(bare['limits.idle'], 90_000)
  t.equal(bare['limits.rate'], 750_000)
  t.equal(bare['limits.eager'], false)
  t.equal(bare.key, join(t.testdirName, 'key.pem'))
  const plain = fileWith(t, 'config = 1\nname = "a"\nlimits.reserve = 512')
  t.equal(readConfig(plain, shape).values['limits.reserve'], 512)
})

t.test('an unknown key is told with its nearest neighbour', async (t) => {
  const unknown = (line: string) => complaint(fileWith(t, `config = 1\nname = "a"\n${line}`))
  t.strictSame(unknown('broker.urll = "x"'), [
    'the key "broker.urll" is unknown',
    'did you mean "broker.url"?',
  ])
  t.strictSame(unknown('reserve = "1GiB"')[1], 'did you mean "limits.reserve"?')
  t.strictSame(unknown('nmae = "b"')[1], 'did you mean "name"?')
  t.strictSame(unknown('toString = "b"')[0], 'the key "toString" is unknown')
})

t.test('a value of another kind is told with what is wanted', async (t) => {
  const wrong = (line: string) =>
    complaint(fileWith(t, `config = 1\n${/^name/.test(line) ? '' : 'name = "a"\n'}${line}`))[0]
  t.equal(wrong('name = 1'), 'the key "name" is not a text in quotes')
  t.equal(wrong('key = ""'), 'the key "key" is not a path in quotes')
  t.equal(wrong('level = "loud"'), 'the key "level" is not one of "info", "warn"')
  t.equal(wrong('limits.copies = -1'), 'the key "limits.copies" is not a number of 0 or more')
  t.equal(wrong('limits.reserve = "1G"'), 'the key "limits.reserve" is not a size like "16MiB"')
  t.equal(wrong('limits.idle = 90'), 'the key "limits.idle" is not a duration like "90s" or "30d"')
  t.equal(
    wrong('limits.rate = "6Mbit"'),
    'the key "limits.rate" is not a rate like "6Mbit/s" or "2MiB/s"',
  )
  t.equal(wrong('limits.eager = "yes"'), 'the key "limits.eager" is not true or false')
  t.equal(
    wrong('exchange.urls = [1]'),
    'the key "exchange.urls" is not a list of texts in square brackets',
  )
})

t.test('what is missing or no configuration at all is told', async (t) => {
  t.strictSame(complaint(fileWith(t, 'config = 1')), [
    'the key "name" is missing',
    'name: Who we are.',
  ])
  t.strictSame(complaint(fileWith(t, 'name = "a"')), [
    'the key "config" is missing',
    'begin the file with: config = 1',
  ])
  for (const version of ['0', '"1"', '1.5', '-1', 'true']) {
    const [sentence] = complaint(fileWith(t, `config = ${version}\nname = "a"`))
    t.equal(sentence, 'the key "config" is no version', version)
  }
  t.equal(complaint(join(t.testdir(), 'nothing.toml'))[0], 'there is no such file')
  t.equal(complaint(t.testdir())[0], 'it cannot be read (EISDIR)')
  const [sentence, hint] = complaint(fileWith(t, 'config = 1\nname = "a'))
  t.match(sentence, /^line 2 is no TOML: [^\n]+$/)
  t.equal(hint, 'it says: name = "a')
})

t.test(
  'what a newer program wrote is passed over with a warning, so that going back starts',
  async (t) => {
    const path = fileWith(
      t,
      'config = 2\nname = "a"\nspeed = "high"\n[limits]\nidle = "forever"\ncopies = 3',
    )
    const { values, warnings } = readConfig(path, shape)
    t.equal(values.name, 'a')
    t.equal(values['limits.copies'], 3)
    t.equal(values['limits.idle'], 90_000)
    t.strictSame(warnings, [
      `${path}: the key "speed" is unknown, and was passed over`,
      `${path}: the key "limits.idle" is not a duration like "90s" or "30d", and was passed over`,
    ])
    t.equal(
      complaint(fileWith(t, 'config = 2\nname = 1'))[0],
      'the key "name" is not a text in quotes',
    )
    t.equal(complaint(fileWith(t, 'config = 2'))[0], 'the key "name" is missing')
  },
)

t.test('what is written is read again, by its owner only', async (t) => {
  const path = join(t.testdir(), 'colonnade.toml')
  writeConfig(path, shape, {
    name: 'a "quoted"\nname',
    'limits.reserve': '2GiB',
    'limits.eager': true,
    'exchange.urls': ['https://a:1'],
    'broker.url': undefined,
  })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.strictSame(readdirSync(t.testdirName), ['colonnade.toml'])
  const { values } = readConfig(path, shape)
  t.match(values, {
    name: 'a "quoted"\nname',
    'limits.reserve': 2 * 1024 ** 3,
    'limits.eager': true,
    'limits.copies': 2,
    'exchange.urls': ['https://a:1'],
  })
  const text = readFileSync(path, 'utf8')
  t.match(text, /^config = 1\n\n# Who we are\.\nname = /)
  t.match(text, '[limits]\n# How many.\n# copies = 2\n\n# How much.\nreserve = "2GiB"\n')
  // Commented lines are what would be read: with the comment signs of values taken off, all is the same.
  const uncommented = text.replace(/^# (?=[a-z]+ = )/gm, '')
  writeFileSync(path, uncommented.replace('url = ""\n', ''))
  t.strictSame(readConfig(path, shape).values, values)
})

t.test('what could not be read again is not written', async (t) => {
  const path = join(t.testdir(), 'colonnade.toml')
  writeConfig(path, shape, { name: 'before' })
  const untyped: Shape = shape
  t.throws(() => writeConfig(path, untyped, { name: 'a', nmae: 'b' }), {
    message: `${path}: the key "nmae" is unknown`,
  })
  t.throws(() => writeConfig(path, shape, { name: 'a', 'limits.idle': '90' }), {
    message: `${path}: "limits.idle" is not a duration like "90s" or "30d"`,
  })
  t.throws(() => writeConfig(path, shape, {}), { message: `${path}: the key "name" is missing` })
  t.equal(readConfig(path, shape).values.name, 'before')
})

t.test('the table names every key', async (t) => {
  t.equal(
    configTable({
      name: shape.name,
      'broker.url': shape['broker.url'],
      'limits.reserve': shape['limits.reserve'],
    }),
    [
      '| key | type | default | meaning |',
      '|---|---|---|---|',
      '| `name` | text | required | Who we are. |',
      '| `broker.url` | text |  | Where \\| the broker is. |',
      '| `limits.reserve` | size | `"1GiB"` | How much. |',
      '',
    ].join('\n'),
  )
})

t.test('the defaults of all programs are what they should be', async (t) => {
  const common = { name: 'attic', archive: 'home', owner: 'AAAA', 'broker.url': 'mqtts://a:8883' }
  const path = join(t.testdir(), 'colonnade.toml')
  writeConfig(path, agentShape, {
    ...common,
    'tracker.url': 'https://a:8443',
    'volume.mount': '/mnt/disk',
  })
  t.match(readConfig(path, agentShape).values, {
    ca: join(path, '../ca.pem'),
    'broker.identity': 'tracker',
    'tracker.identity': 'tracker',
    'topics.prefix': 'colonnade',
    'volume.mount': '/mnt/disk',
    'volume.reserve': undefined,
    'log.level': 'info',
    home: undefined,
    site: undefined,
  })
  writeConfig(path, trackerShape, { ...common, 'exchange.urls': ['https://a:8443'] })
  t.match(readConfig(path, trackerShape).values, {
    'broker.listen': '',
    'spool.folder': join(path, '../spool'),
    'spool.quota': 4 * 1024 ** 3,
    'spool.expiry': 7 * 86_400_000,
    'vault.folder': join(path, '../vault'),
    'vault.reserve': 1024 ** 3,
  })
  writeConfig(path, clientShape, { ...common, 'tracker.url': 'https://a:8443' })
  t.match(readConfig(path, clientShape).values, {
    'exchange.listen': '0.0.0.0:0',
    'exchange.advertise': [],
  })
})
