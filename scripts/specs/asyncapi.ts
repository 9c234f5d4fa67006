/** All messages and topics as an AsyncAPI 3.0 document, made from the schemas by which messages are parsed. */
import { limits } from '../../src/limits.ts'
import { HeardAlarm } from '../../src/protocol/alarms.ts'
import { Chain, TrailItem } from '../../src/protocol/audit.ts'
import { AnyChecksum, ChecksumSpec, checksumAlgorithms } from '../../src/protocol/checksums.ts'
import { Code, responseCodes } from '../../src/protocol/codes.ts'
import { Message, type MessageType, protocolVersion, Status } from '../../src/protocol/messages.ts'
import { OfferedFile, Transmission } from '../../src/protocol/parts.ts'
import * as scalars from '../../src/protocol/scalars.ts'
import { topicsUnder } from '../../src/protocol/topics.ts'
import { type Construct, definitions, jsonSchema, type Term, type Terms } from './json-schema.ts'

/** The prefix of topics that a configuration has unless it says another. */
const prefix = 'colonnade'
const topics = topicsUnder(prefix)

/** Asked of the tracker; every other request is one to pillars. */
const ofTracker: readonly MessageType[] = [
  'GetAlarmsRequest',
  'GetRepairsRequest',
  'DeliverOwedCopiesRequest',
]
const notUnderstood: MessageType = 'NotUnderstoodResponse'

const description = `The messages of a Colonnade archive. Bytes of files do not go this way, but by HTTPS.

One MQTT message is two lines of UTF-8: the message as JSON, a line feed (0x0A), then
\`<algorithm> <key id> <base64url signature>\` over the exact bytes of line one. Both lines together are at most
${limits.messageBytesMax} bytes (${limits.messageBytesMax / 1024} KiB). The payload schemas are of line one. The signature is checked before anything is parsed; its key must
be the one that the archive document gives to \`from\`. What fails is dropped and never answered.

The operations are those of a client: what it sends, a pillar or the tracker receives and answers. The tracker is a client
of the pillars, too. Publishing and subscribing are by quality of service 1. Topics begin with the prefix of the
configuration, \`${prefix}\` unless it says another.

A request is said again until it is answered; the same \`from\`, \`conversation\`, \`type\` and \`page\` get the same answer and no
second effect. A request for several pillars goes to the requests of its collection, with \`to\` when not all are meant; each
of them answers for itself. Said again, it goes to the requests of the pillar that is silent. Answers go to \`replyTo\`, which
must lie below \`${topics.replies('{from}', '')}\`. Unknown fields are ignored. An unknown type, wrong fields, or a \`min\` above the
reader's protocol version are answered with \`${notUnderstood}\`.

\`maxLength\` counts UTF-16 code units.`

/** Everything that is written down once, by its name. */
function vocabulary(): Terms {
  const codes = Object.entries(responseCodes).map(([code, means]) => `${code}: ${means}`)
  const { fileIdBytesMax, componentBytesMax } = limits
  const list: [Construct, Term][] = [
    [
      scalars.Name,
      { name: 'Name', description: 'Of an archive, a collection, an identity, a site.' },
    ],
    [
      scalars.FileId,
      {
        name: 'FileId',
        description: 'A path below the collection.',
        checked:
          `Well-formed Unicode text without NUL, 1 to ${fileIdBytesMax} bytes in UTF-8; its components between slashes ` +
          `are not empty, not \`.\`, not \`..\`, and at most ${componentBytesMax} bytes each.`,
      },
    ],
    [scalars.Bytes, { name: 'Bytes', description: 'Bytes, a number or a place.' }],
    [scalars.Count, { name: 'Count', description: 'A number of things, or a number in an order.' }],
    [scalars.Checksum, { name: 'Checksum', description: 'SHA-256 in hexadecimal.' }],
    [scalars.Uuid, { name: 'Uuid', description: 'A UUID in lower case.' }],
    [scalars.Text, { name: 'Text', description: 'Words for people.' }],
    [
      scalars.Time,
      {
        name: 'Time',
        description: 'ISO 8601 in UTC with milliseconds.',
        checked: 'What `Date.parse` of ECMAScript takes for a moment: no 13th month.',
      },
    ],
    [Code, { name: 'Code', description: codes.join('\n') }],
    [OfferedFile, { name: 'OfferedFile', description: 'A file at its source.' }],
    [
      Transmission,
      {
        name: 'Transmission',
        description:
          'Where a pillar dials for the bytes, in this order, and the token (a compact JWS, RFC 7515) that suffices.',
      },
    ],
    [Status, { name: 'Status', description: 'Of a pillar, and of the collection asked for.' }],
    [TrailItem, { name: 'TrailItem', description: 'An entry of the audit trail.' }],
    [Chain, { name: 'Chain', description: 'What a walk over a whole chain of entries has found.' }],
    [HeardAlarm, { name: 'HeardAlarm', description: 'An alarm as the tracker keeps it.' }],
    [
      ChecksumSpec,
      {
        name: 'ChecksumSpec',
        description:
          `An algorithm, one of ${checksumAlgorithms.join(', ')}; an HMAC has a salt of 1 to 256 bytes in ` +
          'hexadecimal, the others have none.',
      },
    ],
    [AnyChecksum, { name: 'AnyChecksum', description: 'By any algorithm, in hexadecimal.' }],
  ]
  return new Map(list)
}

const reference = (...path: string[]) => ({ $ref: `#/${path.join('/')}` })

/** Message types by what they are for. */
interface Kinds {
  readonly toPillars: string[]
  readonly toTracker: string[]
  readonly answers: string[]
}

function kindsOf(options: typeof Message.options): Kinds {
  const kinds: Kinds = { toPillars: [], toTracker: [], answers: [] }
  for (const { entries } of options) {
    const type = entries.type.literal
    if ('responseInfo' in entries) kinds.answers.push(type)
    else if (ofTracker.includes(type)) kinds.toTracker.push(type)
    else if (type.endsWith('Request')) kinds.toPillars.push(type)
    else if (type !== 'Presence' && type !== 'Alarm') throw new Error(`${type} goes nowhere`)
  }
  return kinds
}

const parameters = {
  collection: { description: 'Name of a collection.' },
  pillar: { description: 'Name of a pillar.' },
  identity: { description: 'Name of whoever asked.' },
  instance: { description: 'Tells two runs under one name apart.' },
}

function channels({ toPillars, toTracker, answers }: Kinds) {
  const channel = (address: string, types: readonly string[], words: string) => {
    const named = [...address.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
    return {
      address,
      description: words,
      messages: Object.fromEntries(
        types.map((type) => [type, reference('components', 'messages', type)]),
      ),
      ...(named.length > 0 && {
        parameters: Object.fromEntries(
          named.map((name) => [name, reference('components', 'parameters', name)]),
        ),
      }),
    }
  }
  const presence =
    'Retained: a birth, or the Last Will, which is the death with the same session number.'
  return {
    collectionRequests: channel(
      topics.collectionRequests('{collection}'),
      toPillars,
      'To all pillars of a collection.',
    ),
    pillarRequests: channel(topics.pillarRequests('{pillar}'), toPillars, 'To one pillar.'),
    trackerRequests: channel(topics.trackerRequests(), toTracker, 'To the tracker.'),
    pillarState: channel(topics.pillarState('{pillar}'), ['Presence'], presence),
    trackerState: channel(topics.trackerState(), ['Presence'], presence),
    replies: channel(
      topics.replies('{identity}', '{instance}'),
      answers,
      'Exactly the topic that `replyTo` of the request named.',
    ),
    alarms: channel(topics.alarms(), ['Alarm'], 'Of all pillars.'),
  }
}

/** `XRequest` is answered by `XResponse`, or by `XProgressResponse` and `XFinalResponse`; or was not understood. */
function answersTo(request: string, answers: readonly string[]): string[] {
  const stem = request.replace(/Request$/, '')
  const found = answers.filter((type) => type.replace(/(Progress|Final)?Response$/, '') === stem)
  if (found.length === 0) throw new Error(`nothing answers ${request}`)
  return [...found, notUnderstood]
}

function operations({ toPillars, toTracker, answers }: Kinds) {
  const ask = (to: string, types: readonly string[], channel: string) =>
    types.map((type) => [
      `${to}.${type}`,
      {
        action: 'send',
        channel: reference('channels', channel),
        messages: [reference('channels', channel, 'messages', type)],
        reply: {
          channel: reference('channels', 'replies'),
          messages: answersTo(type, answers).map((answer) =>
            reference('channels', 'replies', 'messages', answer),
          ),
        },
      },
    ])
  const hear = (channel: string, type: string) => [
    `hear.${channel}`,
    {
      action: 'receive',
      channel: reference('channels', channel),
      messages: [reference('channels', channel, 'messages', type)],
    },
  ]
  return Object.fromEntries([
    ...ask('askAll', toPillars, 'collectionRequests'),
    ...ask('askOne', toPillars, 'pillarRequests'),
    ...ask('askTracker', toTracker, 'trackerRequests'),
    hear('pillarState', 'Presence'),
    hear('trackerState', 'Presence'),
    hear('alarms', 'Alarm'),
  ])
}

function messages(terms: Terms) {
  const message = (option: (typeof Message.options)[number]) => ({
    name: option.entries.type.literal,
    correlationId: reference('components', 'correlationIds', 'conversation'),
    payload: jsonSchema(option, terms),
  })
  return Object.fromEntries(
    Message.options.map((option) => [option.entries.type.literal, message(option)]),
  )
}

function asyncApi() {
  const terms = vocabulary()
  const kinds = kindsOf(Message.options)
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Colonnade',
      version: `${protocolVersion}`,
      description,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      broker: {
        host: 'archive.example.org:8883',
        protocol: 'secure-mqtt',
        protocolVersion: '5',
        description: 'The broker of the archive, as `broker.url` of the configuration says.',
        security: [reference('components', 'securitySchemes', 'certificate')],
      },
    },
    channels: channels(kinds),
    operations: operations(kinds),
    components: {
      messages: messages(terms),
      schemas: definitions(terms),
      parameters,
      correlationIds: {
        conversation: {
          description: 'Made by whoever asks; the same for all messages of one operation.',
          location: '$message.payload#/conversation',
        },
      },
      securitySchemes: {
        certificate: {
          type: 'X509',
          description: 'Both sides prove themselves, by TLS 1.3 and the authority of the archive.',
        },
      },
    },
  }
}

/** As the file has it. */
export const asyncApiText = (): string => `${JSON.stringify(asyncApi(), null, 2)}\n`
