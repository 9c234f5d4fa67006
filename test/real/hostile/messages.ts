// Messages that are forged, broken or not meant for anybody, to an agent and to a tracker.

import { compose } from '../../../src/post/compose.ts'
import type { TokenClaims } from '../../../src/transfer/token.ts'
import type { Signer } from '../../../src/trust/trust.ts'
import type { Peer } from '../../conformance/peer.ts'
import { forged } from './http.ts'

export interface MessageCase {
  readonly name: string
  readonly payload: Uint8Array
  /** Refused without an answer: the reason in the log. */
  readonly refused?: RegExp
  /** Answered in this conversation, by this sentence. */
  readonly conversation?: string
  readonly answer?: RegExp
}

export interface MessageGround {
  readonly peer: Peer
  readonly other: Signer
  readonly pillar2: Signer
}

const bytesOf = (text: string): Buffer => Buffer.from(text, 'utf8')

/** Signs bytes, whatever they are. */
export function sealed(line: Uint8Array, signer: Signer): Buffer {
  const signature = Buffer.from(signer.sign(line)).toString('base64url')
  return Buffer.concat([line, bytesOf(`\n${signer.algorithm} ${signer.keyId} ${signature}`)])
}

/** What is refused before anybody asks what it means, by agents and trackers alike. Each has a length of its own. */
export function broken({ peer, other }: MessageGround): MessageCase[] {
  const { signer, stranger } = peer
  const status = peer.request('GetStatusRequest', {})
  let count = 0
  const padded = (text: string): Buffer => bytesOf(text + ' '.repeat(64 + 7 * ++count))
  const said = (changes: object): Buffer => padded(JSON.stringify({ ...status, ...changes }))
  const line = (name: string, payload: Uint8Array, refused: RegExp): MessageCase => ({
    name: `message: ${name}`,
    payload,
    refused,
  })
  const body = said({})
  const whole = sealed(body, signer)
  const end = whole.indexOf(0x0a)
  const trailer = whole.toString('latin1', end + 1)
  const [algorithm = '', keyId = '', signature = ''] = trailer.split(' ')
  const flip = (at: number): Buffer => {
    const bytes = Buffer.concat([said({}), bytesOf(`\n${trailer}`)])
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes
  }
  const trailed = (text: string): Buffer => Buffer.concat([said({}), bytesOf(`\n${text}`)])
  const forms = /not two lines, or too long/
  const wrong = /a wrong signature/
  const garbage: [string, Uint8Array][] = [
    ['null', padded('null')],
    ['a list', padded('[]')],
    ['a text', padded('"text"')],
    ['a number', padded('12')],
    ['an empty object', padded('{}')],
    ['deep lists', padded(`${'['.repeat(20_000)}${']'.repeat(20_000)}`)],
    ['deep lists that do not end', padded('['.repeat(50_000))],
    ['deep objects', padded(`${'{"a":'.repeat(8_000)}1${'}'.repeat(8_000)}`)],
    ['bad UTF-8', Buffer.concat([padded('{"v":1'), Buffer.from([0xff, 0xc3, 0x28])])],
    ['a surrogate alone', Buffer.concat([padded('{"v":"'), Buffer.from([0xed, 0xa0, 0x80])])],
    ['a NUL', padded('{"v":\0}')],
    ['half of JSON', padded(JSON.stringify(status).slice(0, 200))],
    ['a type that is a number', said({ type: 5 })],
    ['no type', said({ type: undefined })],
    ['no conversation', said({ conversation: undefined })],
    ['a conversation with a path', said({ conversation: '../../x' })],
    ['a sender with a path', said({ from: '../client' })],
    ['a sender that is a list', said({ from: ['client'] })],
    ['a version that is a text', said({ v: '1' })],
    ['a version beyond all numbers', padded(JSON.stringify(status).replace('"v":1', '"v":1e999'))],
    ['fields by their prototype', padded(`{"__proto__":${JSON.stringify(status)}}`)],
  ]
  return [
    line('one line only', said({}), forms),
    line('a line feed at the end only', Buffer.concat([said({}), bytesOf('\n')]), forms),
    line('line feeds alone', Buffer.alloc(300 + 1, 0x0a), forms),
    line('zeros', Buffer.alloc(302), forms),
    line('noise', Buffer.from(peer.noise(3_003)), forms),
    line('three lines', trailed(`${trailer}\nmore`), forms),
    line('something after the signature', trailed(`${trailer} more`), forms),
    line('no key', trailed(`${algorithm} ${signature}`), forms),
    line('a long signature', trailed(`${algorithm} ${keyId} ${'A'.repeat(401)}`), forms),
    line('a short key', trailed(`${algorithm} ${keyId.slice(1)} ${signature}`), forms),
    line('a signature in another alphabet', trailed(`${algorithm} ${keyId} ++//==`), forms),
    line('carriage returns', trailed(trailer.replaceAll(' ', '\r')), forms),
    line('as long as a message may be', Buffer.alloc(65_536, 'x'), forms),
    line('one bit altered at the beginning', flip(2), wrong),
    line('one bit altered in the middle', flip(100), wrong),
    line('one bit altered in the signature', flip(body.length + 60), wrong),
    line('no algorithm at all', trailed(`none ${keyId} ${signature}`), wrong),
    line('a weaker algorithm', trailed(`HS256 ${keyId} ${signature}`), wrong),
    line('a signature of zeros', trailed(`${algorithm} ${keyId} ${'A'.repeat(86)}`), wrong),
    line('an empty signature', trailed(`${algorithm} ${keyId} A`), wrong),
    line('half a signature', trailed(`${algorithm} ${keyId} ${signature.slice(0, 43)}`), wrong),
    line('a signature of another message', trailed(trailer), wrong),
    line(
      'a signature by another',
      trailed(
        sealed(said({}), other).toString('latin1').split('\n')[1]?.replace(other.keyId, keyId) ??
          '',
      ),
      wrong,
    ),
    line('a key that nobody knows', sealed(said({}), stranger), /an unknown key/),
    line(
      'a key of zeros',
      trailed(`${algorithm} ${'A'.repeat(22)} ${signature}`),
      /an unknown key/,
    ),
    line(
      'in the name of another client',
      sealed(said({ from: 'other' }), signer),
      /in the name of other/,
    ),
    line(
      'in the name of the tracker',
      sealed(said({ from: 'tracker' }), signer),
      /in the name of tracker/,
    ),
    line(
      'in the name of a pillar',
      sealed(said({ from: 'pillar-1' }), signer),
      /in the name of pillar-1/,
    ),
    line(
      'in our name, by another',
      sealed(said({}), other),
      /signed by other in the name of client/,
    ),
    ...[
      ...[
        'colonnade/replies/other/x',
        'colonnade/replies/client',
        'colonnade/replies/client-x/y',
        'colonnade/alarms',
      ],
      ...[
        'colonnade/replies/client/#',
        'colonnade/replies/client/+',
        '$SYS/x',
        '',
        'colonnade/pillars/pillar-1/requests',
      ],
      ...['other/replies/client/x', 'colonnade/replies/client/\0'],
    ].map((replyTo) =>
      line(
        `answers to ${JSON.stringify(replyTo)}`,
        sealed(said({ replyTo }), signer),
        /a reply topic of another/,
      ),
    ),
    line(
      'an alarm where requests are',
      sealed(said({ type: 'Alarm', alarmCode: 'TIMEOUT', alarmText: 'x' }), signer),
      /a topic where such is not said/,
    ),
    ...garbage.map(([name, one]) => line(`${name}, signed`, sealed(one, signer), /./)),
  ]
}

/** What is well signed by a member, and asks for what can not be, or may not be: one sentence is the answer. */
export function impossible({ peer, other }: MessageGround): MessageCase[] {
  const line = (
    name: string,
    request: { readonly conversation: string; readonly [field: string]: unknown },
    answer: RegExp,
  ): MessageCase => ({
    name: `request: ${name}`,
    payload: sealed(bytesOf(JSON.stringify(request)), peer.signer),
    conversation: request.conversation,
    answer,
  })
  const misunderstood = /REQUEST_NOT_UNDERSTOOD_FAILURE/
  const item = peer.item('hostile.txt', 100)
  const object = peer.object()
  const file = { id: item.id, size: item.size, checksum: item.checksum, mtime: item.mtime }
  const put = (changes: object, claims: Partial<TokenClaims> = {}) =>
    peer.request('PutFileRequest', {
      files: [{ ...file, ...changes }],
      transmission: peer.transmission({ dir: 'down', obj: [[object, 100]], ...claims }),
    })
  const withToken = (token: string) => {
    const asked = put({})
    return { ...asked, transmission: { ...asked.transmission, token } }
  }
  const claims: TokenClaims = {
    ...{ iss: 'client', aud: ['client'], hld: [peer.pillar], dir: 'down', obj: [[object, 100]] },
    exp: Math.floor(Date.now() / 1000) + 600,
  }
  const header = { alg: 'ES256', kid: peer.signer.keyId }
  const ids: [string, string][] = [
    ['that climbs', '../../etc/passwd'],
    ['from the root', '/etc/passwd'],
    ['that goes up and down', 'a/../../b'],
    ['that is a dot', '.'],
    ['that is empty', ''],
    ['with a NUL', 'a\0b'],
    ['with an empty part', 'a//b'],
    ['of 1 025 bytes', 'ä'.repeat(513)],
    ['with a part of 256 bytes', 'a'.repeat(256)],
    ['of half a character', '\ud800'],
  ]
  const get = (changes: object) => {
    const transmission = peer.transmission({ dir: 'up', obj: [[peer.object(), -1]] })
    return peer.request('GetFileRequest', { files: [{ id: item.id, ...changes }], transmission })
  }
  return [
    ...ids.map(([name, id]) => line(`a file id ${name}`, put({ id }), misunderstood)),
    ...[-1, 0.5, 2 ** 53, '100', null, 1e308].map((size) =>
      line(`a size of ${size}`, put({ size }), misunderstood),
    ),
    ...['', 'A'.repeat(64), 'a'.repeat(63), '../'.repeat(21), 7].map((checksum) =>
      line(`a checksum ${checksum}`, put({ checksum }), misunderstood),
    ),
    ...['yesterday', '2026-13-01T00:00:00.000Z', 0].map((mtime) =>
      line(`a time ${mtime}`, put({ mtime }), misunderstood),
    ),
    ...[-1, 0.5, 2 ** 53, '5'].flatMap((one) => [
      line(`a slice from ${one}`, get({ offset: one }), misunderstood),
      line(`a slice of ${one} bytes`, get({ length: one }), misunderstood),
    ]),
    line('no files', { ...get({}), files: [] }, misunderstood),
    line(
      '257 files',
      { ...get({}), files: Array.from({ length: 257 }, (_, n) => ({ id: `${n}` })) },
      misunderstood,
    ),
    line(
      'a type that nobody knows',
      { ...put({}), type: 'EraseEverythingRequest' } as never,
      misunderstood,
    ),
    line('a newer protocol', { ...put({}), min: 99 }, misunderstood),
    line(
      'an end in the past',
      { ...put({}), expiresAt: '2020-01-01T00:00:00.000Z' },
      misunderstood,
    ),
    line('a token that is none', withToken('none'), /not a token/),
    line(
      'a token by nobody',
      withToken(forged(peer.stranger, { ...header, kid: peer.stranger.keyId }, claims)),
      /unknown key/,
    ),
    line(
      'a token that another signed',
      withToken(forged(other, header, claims)),
      /wrong signature/,
    ),
    line(
      'a token without a signature',
      withToken(`${forged(peer.signer, { ...header, alg: 'none' }, claims)}`),
      /wrong signature/,
    ),
    line(
      'a token of another client',
      withToken(forged(other, { ...header, kid: other.keyId }, { ...claims, iss: 'other' })),
      /of another client/,
    ),
    line('a token without claims', withToken(forged(peer.signer, header, {})), /wrong claims/),
    line('a token for another pillar', put({}, { hld: ['pillar-2'] }), /of somebody else/),
    line('a token for nobody', put({}, { hld: [] }), /of somebody else/),
    line('a token to deliver, for a put', put({}, { dir: 'up' }), /for delivering/),
    line('a token of another size', put({}, { obj: [[object, 99]] }), /of other sizes/),
    line('a token for no object', put({}, { obj: [] }), /of other sizes/),
    line(
      'a token to fetch, for a get',
      { ...get({}), transmission: peer.transmission({ dir: 'down', obj: [[object, -1]] }) },
      /for fetching/,
    ),
  ]
}

/** Well formed and well signed, and not to be heard: no answer, and nothing in a log that would fill it. */
export function unheard({
  peer,
  pillar2,
}: MessageGround): { name: string; payload: Uint8Array; conversation: string }[] {
  const line = (name: string, request: { conversation: string }, by: Signer) => ({
    name: `unheard: ${name}`,
    payload: sealed(bytesOf(JSON.stringify(request)), by),
    conversation: request.conversation,
  })
  const status = (changes: object) => ({ ...peer.request('GetStatusRequest', {}), ...changes })
  const as = (from: string) => ({ from, replyTo: `colonnade/replies/${from}/x` })
  const world = peer.world
  return [
    line('a pillar that asks', status(as('pillar-2')), pillar2),
    line('a request for others', status({ to: ['pillar-3'] }), peer.signer),
    line('a request for nobody', status({ to: [] }), peer.signer),
    line('another collection', status({ collection: 'nowhere' }), peer.signer),
    line('a collection named like a method', status({ collection: 'constructor' }), peer.signer),
    line(
      'copies, as only the tracker wants them',
      status({
        ...{ type: 'PrepareTrimRequest', epoch: { counter: 2 ** 50, tracker: 'client' } },
        fragments: [{ hash: 'a'.repeat(64), kind: 'slice' }],
      }),
      peer.signer,
    ),
    line(
      'a birth of the tracker, by a client',
      {
        ...compose(world, 'client', {
          type: 'TrackerHello',
          conversation: status({}).conversation,
          epoch: { counter: 2 ** 50, tracker: 'client' },
        } as never),
      },
      peer.signer,
    ),
  ]
}
