// deploy/asyncapi.json is current, whole, and says of every message what the program says of it.

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import * as v from 'valibot'
import { asyncApiText } from '../scripts/specs/asyncapi.ts'
import { definitions, type JsonSchema, jsonSchema } from '../scripts/specs/json-schema.ts'
import { responseCodes } from '../src/protocol/codes.ts'
import { parse } from '../src/protocol/envelope.ts'
import { Message } from '../src/protocol/messages.ts'
import { eventTypes, topicsUnder } from '../src/protocol/topics.ts'

type Tree = { readonly [key: string]: unknown }
interface Document extends Tree {
  readonly info: { readonly description: string }
  readonly channels: Readonly<
    Record<string, { address: string; messages: Tree; parameters?: Tree }>
  >
  readonly operations: Readonly<
    Record<
      string,
      { action: string; channel: Ref; messages: Ref[]; reply?: { channel: Ref; messages: Ref[] } }
    >
  >
  readonly components: {
    readonly messages: Readonly<Record<string, { name: string; payload: JsonSchema }>>
    readonly schemas: Readonly<Record<string, JsonSchema>>
    readonly parameters: Tree
  }
}
interface Ref {
  readonly $ref: string
}

const path = resolve(import.meta.dirname, '..', 'deploy/asyncapi.json')
const committed = readFileSync(path, 'utf8')
const document: Document = JSON.parse(committed)
const { channels, operations, components } = document
const types: readonly string[] = Message.options.map(({ entries }) => entries.type.literal)
const last = ({ $ref }: Ref): string => $ref.slice($ref.lastIndexOf('/') + 1)

t.test('it is what `npm run specs` writes', async (t) => {
  t.ok(committed === asyncApiText(), `${join('deploy', 'asyncapi.json')} is due: npm run specs`)
})

t.test('every reference leads somewhere, and nothing is written down in vain', async (t) => {
  const used = new Set(references(document))
  t.ok(used.size > 100)
  for (const $ref of used) t.ok(at($ref), $ref)
  for (const [kind, named] of Object.entries(components))
    for (const name of Object.keys(named))
      t.ok(used.has(`#/components/${kind}/${name}`), `${kind}/${name}`)
})

t.test('each message is there once, under its own type', async (t) => {
  t.same(Object.keys(components.messages), types)
  t.equal(new Set(types).size, types.length)
  for (const [type, { name, payload }] of Object.entries(components.messages)) {
    t.equal(name, type)
    t.same(property(payload, 'type'), { const: type })
  }
  const said = Object.values(channels).flatMap(({ messages }) => Object.keys(messages))
  t.same([...new Set(said)].sort(), [...types].sort(), 'each is said on some channel')
})

t.test('addresses are those of topics.ts', async (t) => {
  const topics = topicsUnder('colonnade')
  const expected = {
    collectionRequests: topics.collectionRequests('{collection}'),
    pillarRequests: topics.pillarRequests('{pillar}'),
    trackerRequests: topics.trackerRequests(),
    pillarState: topics.pillarState('{pillar}'),
    trackerState: topics.trackerState(),
    replies: topics.replies('{identity}', '{instance}'),
    alarms: topics.alarms(),
    ...Object.fromEntries(
      eventTypes.map((type) => [type.charAt(0).toLowerCase() + type.slice(1), topics.event(type)]),
    ),
  }
  t.same(
    Object.fromEntries(Object.entries(channels).map(([name, { address }]) => [name, address])),
    expected,
  )
  // Filters and questions are no channels.
  const all = Object.keys(topics).filter((name) => !/^(all|is)[A-Z]|^event$/.test(name))
  t.same(
    Object.keys(channels)
      .filter((name) => all.includes(name))
      .sort(),
    all.sort(),
  )
  for (const { address, parameters } of Object.values(channels))
    t.same(
      Object.keys(parameters ?? {}),
      [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      address,
    )
})

t.test('every request is sent and names all that may answer it', async (t) => {
  const named = new Set<string>()
  for (const type of types.filter((name) => name.endsWith('Request'))) {
    const stem = type.slice(0, -'Request'.length)
    const answers = ['Response', 'ProgressResponse', 'FinalResponse']
      .map((end) => stem + end)
      .filter((name) => types.includes(name))
    t.ok(answers.length > 0, type)
    const asking = Object.values(operations).filter(({ messages }) => last0(messages) === type)
    t.ok(asking.length > 0, type)
    for (const { action, reply } of asking) {
      t.equal(action, 'send')
      t.same(reply?.messages.map(last).sort(), [...answers, 'NotUnderstoodResponse'].sort(), type)
      t.same(reply?.channel, { $ref: '#/channels/replies' })
    }
    for (const name of [...answers, 'NotUnderstoodResponse']) named.add(name)
  }
  t.same(Object.keys(channels.replies?.messages ?? {}).sort(), [...named].sort())
})

t.test(
  'what is no request is received, and an operation says what its channel carries',
  async (t) => {
    for (const [name, { action, channel, messages, reply }] of Object.entries(operations)) {
      t.equal(messages.length, 1, name)
      t.equal(action, last0(messages).endsWith('Request') ? 'send' : 'receive', name)
      t.equal(reply !== undefined, action === 'send', name)
      for (const part of [{ channel, messages }, reply])
        for (const { $ref } of part?.messages ?? [])
          t.ok($ref.startsWith(`${part?.channel.$ref}/messages/`), `${name}: ${$ref}`)
    }
    const done = Object.values(operations).map(({ channel }) => last(channel))
    t.same([...new Set(done), 'replies'].sort(), Object.keys(channels).sort())
  },
)

t.test('messages made by it are understood, whole and in their shortest form', async (t) => {
  for (const [type, { payload }] of Object.entries(components.messages)) {
    const whole = example(payload, true)
    const parsed = parsedFrom(whole)
    t.ok(parsed.is === 'message', `${type} ${'why' in parsed ? parsed.why : ''}`)
    if (parsed.is === 'message') t.same(parsed.message, whole, `${type}: no field is unknown`)
    t.equal(parsedFrom(example(payload, false)).is, 'message', `${type}, shortest`)
  }
})

t.test('what it requires is required, and types are what it says', async (t) => {
  for (const [type, { payload }] of Object.entries(components.messages)) {
    const whole = example(payload, true)
    for (const broken of spoiled(payload, whole))
      t.not(parsedFrom(broken.value).is, 'message', `${type}: ${broken.how}`)
  }
})

t.test('the description tells of signatures and sizes, the codes what they mean', async (t) => {
  t.match(document.info.description, /`<algorithm> <key id> <base64url signature>`/)
  t.match(document.info.description, /65536\s+bytes \(64 KiB\)/)
  const { enum: codes, description } = components.schemas.Code ?? {}
  t.same(codes, Object.keys(responseCodes))
  for (const [code, means] of Object.entries(responseCodes))
    t.ok(String(description).includes(`${code}: ${means}`), code)
})

t.test('JSON Schema: each construct', async (t) => {
  const told = (node: v.GenericSchema) => jsonSchema(node, new Map())
  t.same(told(v.string()), { type: 'string' })
  t.same(told(v.boolean()), { type: 'boolean' })
  t.same(told(v.literal('a')), { const: 'a' })
  t.same(told(v.picklist(['a', 'b'])), { type: 'string', enum: ['a', 'b'] })
  t.same(told(v.pipe(v.string(), v.regex(/^a$/), v.minLength(1), v.maxLength(2))), {
    type: 'string',
    pattern: '^a$',
    minLength: 1,
    maxLength: 2,
  })
  t.same(told(v.pipe(v.array(v.number()), v.minLength(1), v.maxLength(2), v.maxLength(3))), {
    type: 'array',
    items: { type: 'number' },
    minItems: 1,
    maxItems: 2,
  })
  const least = { type: 'integer', minimum: 3, maximum: Number.MAX_SAFE_INTEGER }
  t.same(told(v.pipe(v.number(), v.safeInteger(), v.minValue(3))), least)
  t.same(told(v.pipe(v.number(), v.minValue(3), v.safeInteger())), least)
  t.same(told(v.object({ a: v.string(), b: v.optional(v.string()) })), {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'string' } },
    required: ['a'],
  })
  const word = v.string()
  const terms = new Map([[word, { name: 'Word', description: 'A word.' }]])
  t.same(jsonSchema(v.object({ a: v.optional(word, 'x'), b: v.optional(word) }), terms), {
    type: 'object',
    properties: {
      a: { allOf: [{ $ref: '#/components/schemas/Word' }], default: 'x' },
      b: { $ref: '#/components/schemas/Word' },
    },
  })
  t.same(definitions(terms), { Word: { description: 'A word.', type: 'string' } })
})

t.test('JSON Schema: whatever else there is, is refused', async (t) => {
  const text = v.string()
  const refused: v.GenericSchema[] = [
    v.null(),
    v.unknown(),
    v.nullable(text),
    v.nullish(text),
    v.record(text, text),
    v.tuple([text]),
    v.union([text, v.number()]),
    v.variant('a', [v.object({ a: v.literal('b') })]),
    v.strictObject({}),
    v.looseObject({}),
    v.literal(1),
    v.fallback(text, 'x'),
    v.optional(text),
    v.array(v.optional(text)),
    v.object({ a: v.optional(text, () => 'x') }),
    v.object({ a: v.lazy(() => text) }),
    v.pipe(text, v.minLength(1), v.transform(Number)),
    v.pipe(text, v.trim()),
    v.pipe(text, v.description('')),
    v.pipe(text, v.email()),
    v.pipe(text, v.regex(/a/i)),
    v.pipe(text, v.regex(/a/), v.regex(/b/)),
    v.pipe(text, v.minValue('a')),
    v.pipe(v.number(), v.maxValue(1)),
    v.pipe(v.number(), v.integer()),
    v.pipe(v.pipe(text, v.minLength(1)), v.maxLength(2)),
    v.pipe(
      text,
      v.check(() => true),
    ),
  ]
  for (const node of refused) t.throws(() => jsonSchema(node, new Map()), node.expects)
})

t.test('JSON Schema: a check is told in words, and only where there is one', async (t) => {
  const term = { name: 'Odd', description: 'A text.', checked: 'Odd.' }
  const odd = v.pipe(
    v.string(),
    v.check((text) => text.length % 2 === 1),
  )
  t.same(definitions(new Map([[odd, term]])), {
    Odd: { description: 'A text. Odd.', type: 'string' },
  })
  t.throws(() => definitions(new Map([[odd, { name: 'Odd', description: 'A text.' }]])))
  t.throws(() => definitions(new Map([[v.string(), term]])), /checks nothing/)
  t.throws(() => definitions(new Map([v.string(), v.number()].map((one) => [one, term]))))
})

function references(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) =>
    key === '$ref' ? [String(value)] : references(value),
  )
}

function at($ref: string): unknown {
  let node: unknown = document
  for (const step of $ref.replace(/^#\//, '').split('/')) node = (node as Tree | undefined)?.[step]
  return node
}

const last0 = ([first]: readonly Ref[]): string => (first === undefined ? '' : last(first))

function property(schema: JsonSchema, name: string): JsonSchema {
  return (schema.properties as Record<string, JsonSchema> | undefined)?.[name] ?? {}
}

function parsedFrom(value: unknown) {
  return parse(new TextEncoder().encode(JSON.stringify(value)))
}

/** Texts that a pattern or words demand; everything else follows from the schema itself. */
function sample(name: string): unknown {
  return {
    Name: 'attic',
    FileId: 'pictures/ann.jpg',
    Checksum: '0a'.repeat(32),
    AnyChecksum: '0a'.repeat(16),
    Uuid: '01234567-89ab-7def-8123-456789abcdef',
    Time: '2026-11-22T10:00:00.000Z',
  }[name]
}

/** With all that may be there, or only with what must; a `min` above 1 would be too new for anything else. */
function example(schema: JsonSchema, full: boolean): unknown {
  const whole = plainly(schema)
  if (typeof schema.$ref === 'string' && sample(last({ $ref: schema.$ref })) !== undefined)
    return sample(last({ $ref: schema.$ref }))
  if ('const' in whole) return whole.const
  if (Array.isArray(whole.enum)) return whole.enum[0]
  if (whole.type === 'object') {
    const required = whole.required as string[] | undefined
    return Object.fromEntries(
      Object.entries(whole.properties as Record<string, JsonSchema>)
        .filter(([key]) => full || required?.includes(key))
        .map(([key, value]) => [key, example(value, full)]),
    )
  }
  if (whole.type === 'array')
    return full || whole.minItems ? [example(whole.items as JsonSchema, full)] : []
  return { string: 'text', boolean: true, integer: 1 }[String(whole.type)]
}

/** Without references. */
function plainly(schema: JsonSchema): JsonSchema {
  const inner = Array.isArray(schema.allOf) ? (schema.allOf[0] as JsonSchema) : schema
  return typeof inner.$ref === 'string' ? (at(inner.$ref) as JsonSchema) : inner
}

/** Every way to leave out or mistake one thing in a value. */
function* spoiled(
  schema: JsonSchema,
  value: unknown,
  where = '',
): Generator<{ how: string; value: unknown }> {
  const whole = plainly(schema)
  if (whole.type === 'object') {
    const { properties, required = [] } = whole as unknown as {
      properties: Record<string, JsonSchema>
      required?: string[]
    }
    for (const [key, inner] of Object.entries(properties)) {
      const { [key]: held, ...rest } = value as Tree
      if (required.includes(key)) yield { how: `without ${where}${key}`, value: rest }
      for (const { how, value } of spoiled(inner, held, `${where}${key}.`))
        yield { how, value: { ...rest, [key]: value } }
    }
  }
  if (whole.type === 'array') {
    const [first] = value as unknown[]
    const { minItems, maxItems } = whole as { minItems?: number; maxItems?: number }
    if (minItems) yield { how: `${where} empty`, value: [] }
    if (maxItems) yield { how: `${where} too long`, value: Array(maxItems + 1).fill(first) }
    for (const { how, value } of spoiled(whole.items as JsonSchema, first, `${where}[].`))
      yield { how, value: [value] }
  }
  if (typeof whole.maxLength === 'number')
    yield { how: `${where} too long`, value: 'x'.repeat(whole.maxLength + 1) }
  if (whole.pattern !== undefined || whole.enum !== undefined || whole.const !== undefined)
    yield { how: `${where} another text`, value: '?' }
  if (whole.minimum === 0) yield { how: `${where} below 0`, value: -1 }
  if (whole.type === 'integer') yield { how: `${where} a fraction`, value: 0.5 }
  yield { how: `${where} null`, value: null }
}
