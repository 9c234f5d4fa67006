/**
 * An exchange: an identity that offers and takes bytes by HTTPS. Down by GET with Range (RFC 9110 §14), up by HEAD and
 * PATCH with the names of the IETF draft on resumable uploads. Who may do what is said by the token alone.
 */
import { limits } from '../limits.ts'
import { membershipAt } from '../protocol/fragments.ts'
import { discard, exactly } from '../transfer/body.ts'
import {
  flag,
  type ObjectKey,
  parseCount,
  parseObjectPath,
  parseRange,
} from '../transfer/objects.ts'
import { checkToken, type TokenClaims } from '../transfer/token.ts'
import type { Request, Response, Serve } from '../transfer/transfer.ts'
import { type Directory, documentTag } from '../trust/directory.ts'
import type { Keys } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { documentIntake } from './document.ts'
import type { Put, Shelf, Slice, Written } from './shelf.ts'

export interface ExchangeParts {
  readonly world: World
  readonly identity: string
  readonly directory: Directory
  readonly keys: Keys
  readonly shelf: Shelf
  /** Objects by a token whose issuer is not this exchange: only where it is a relay. */
  readonly relay: boolean
  /** Takes archive documents by the owner, and tells of a newer one; without it none is taken. */
  newDocument?(): void
  /** How a collection in fragments is kept, as JSON, for pillars; undefined when nobody is to be told by us now. */
  membership?(collection: string): string | undefined
  /** The most that one request may bring; `transferPageBytes` when absent. */
  readonly pageBytes?: number
}

/** What a peer may do with one object. */
interface Grant {
  readonly key: ObjectKey
  readonly role: 'receiver' | 'sender'
  readonly size: number
  readonly claims: TokenClaims
}

export function exchange(parts: ExchangeParts): Serve {
  const takeDocument = documentIntake(parts.directory)
  return async (peer, request, signal) => {
    if (request.path === '/archive-document' && request.method === 'GET')
      return document(parts, request)
    if (request.path === '/archive-document' && request.method === 'PATCH' && parts.newDocument) {
      const [status, why] = await takeDocument(peer, request)
      if (status === 204) parts.newDocument()
      if (status === 204) return { status, headers: {} }
      return refusal(status, why, status === 503 ? { 'retry-after': '1' } : {})
    }
    const collection = request.method === 'GET' ? membershipAt(request.path) : undefined
    if (collection !== undefined && parts.membership) return membership(parts, peer, collection)
    const grant = authorise(parts, peer, request)
    if ('refused' in grant) {
      parts.world.log.warn('exchange.refused', { peer, path: request.path, why: grant.refused })
      return refusal(403, grant.refused)
    }
    switch (request.method) {
      case 'HEAD':
        return head(parts.shelf, grant, signal)
      case 'GET':
        return grant.role === 'receiver'
          ? get(parts.shelf, peer, grant, request, signal)
          : refusal(403, 'this token is for delivering')
      case 'PATCH':
        return grant.role === 'sender'
          ? patch(parts, peer, grant, request, signal)
          : refusal(403, 'this token is for fetching')
      case 'DELETE':
        await parts.shelf.release(grant.key, { peer, issuer: peer === grant.claims.iss })
        return { status: 204, headers: {} }
    }
  }
}

function authorise(
  { world, identity, directory, keys, relay }: ExchangeParts,
  peer: string,
  request: Request,
): Grant | { refused: string } {
  const key = parseObjectPath(request.path)
  if (!key) return { refused: 'no such place' }
  const token = /^Bearer ([\w.-]+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (!token) return { refused: 'no token' }
  const checked = checkToken(token, directory, keys, world.clock.now())
  if ('refused' in checked) return checked
  const { claims } = checked
  if (!claims.aud.includes(identity)) return { refused: 'a token for another exchange' }
  if (!relay && claims.iss !== identity) return { refused: 'a token of another client' }
  if (key.issuer !== claims.iss) return { refused: 'an object of another client' }
  const object = claims.obj.find(([name]) => name === key.name)
  if (!object) return { refused: 'a token for other objects' }
  const holder = claims.hld.includes(peer)
  if (!holder && peer !== claims.iss) return { refused: 'a token of somebody else' }
  return {
    key,
    claims,
    size: object[1],
    role: holder === (claims.dir === 'down') ? 'receiver' : 'sender',
  }
}

async function head(shelf: Shelf, { key, role }: Grant, signal: AbortSignal): Promise<Response> {
  const status = await shelf.status(key, role, signal)
  if (!status) return refusal(404, 'nothing here yet')
  if (status === 'elsewhere') return misdirected()
  const { size } = status
  return {
    status: 200,
    headers: {
      ...uploadHeaders(status),
      ...(size === undefined ? {} : { 'upload-length': `${size}` }),
    },
  }
}

/** RFC 9110 §15.5.20: it may be tried at another exchange. */
const misdirected = (): Response => refusal(421, 'the bytes come another way')

const uploadHeaders = ({
  offset,
  complete,
}: {
  offset: number
  complete: boolean
}): Record<string, string> => ({
  'upload-offset': `${offset}`,
  'upload-complete': flag(complete),
})

async function get(
  shelf: Shelf,
  peer: string,
  { key }: Grant,
  { headers }: Request,
  signal: AbortSignal,
): Promise<Response> {
  const wanted = wantedPart(headers, etagOf(key))
  if (!wanted) return refusal(400, 'one range of bytes only')
  const { offset, length } = wanted
  const safe = Math.min(parseCount(headers['safe-offset']) ?? 0, offset)
  const slice = await shelf.read(key, { peer, offset, length, safe }, signal)
  switch (slice.is) {
    case 'absent':
      return refusal(503, 'not here yet', { 'retry-after': '1' })
    case 'gone':
      return refusal(404, 'not offered any more')
    case 'passed':
      return refusal(410, 'these bytes have gone', { 'window-start': `${slice.from}` })
    case 'beyond':
      return refusal(416, 'beyond the end', { 'content-range': `bytes */${slice.size}` })
    case 'bytes':
      return bytesOf(slice, wanted, etagOf(key))
  }
}

const etagOf = ({ name }: Grant['key']): string => `"${name}"`

interface Wanted {
  readonly offset: number
  readonly length: number
  /** False: everything is wanted, and nothing less will do. */
  readonly ranged: boolean
}

function wantedPart(headers: Request['headers'], etag: string): Wanted | undefined {
  const all = { offset: 0, length: Number.MAX_SAFE_INTEGER, ranged: false }
  const header = headers.range
  if (header === undefined) return all
  const range = parseRange(header)
  if (!range) return undefined
  // RFC 9110 §13.1.5: with another validator the range is not to be honoured.
  if ((headers['if-range'] ?? etag) !== etag) return all
  const { first, last } = range
  return { offset: first, length: last === undefined ? all.length : last - first + 1, ranged: true }
}

function bytesOf(
  { size, length, bytes }: Extract<Slice, { is: 'bytes' }>,
  { offset, ranged }: Wanted,
  etag: string,
): Response {
  const headers = { etag, 'accept-ranges': 'bytes', 'content-length': `${length}` }
  if (ranged) {
    const part = { 'content-range': `bytes ${offset}-${offset + length - 1}/${size}` }
    return { status: 206, headers: { ...headers, ...part }, body: bytes }
  }
  if (length === size) return { status: 200, headers, body: bytes }
  discard(bytes)
  return refusal(503, 'not here as a whole yet', { 'retry-after': '1' })
}

/** The body was not what its head had announced; what came of it is kept, as after a cut. */
class Misannounced extends Error {}

async function patch(
  parts: ExchangeParts,
  peer: string,
  grant: Grant,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const part = announced(request, grant, parts.pageBytes ?? limits.transferPageBytes)
  if ('status' in part) return part
  const body = exactly(part.body, part.length, (why) => new Misannounced(why))
  const receivers = receiversOf(parts, grant, request)
  const put = { ...part, peer, body, receivers, expiresAt: grant.claims.exp * 1000 }
  try {
    return answerTo(await parts.shelf.write(grant.key, put, signal))
  } catch (error) {
    if (error instanceof Misannounced) return refusal(400, error.message)
    throw error
  }
}

function announced(
  { headers, body }: Request,
  { size: allowed }: Grant,
  pageBytes: number,
): Response | Pick<Put, 'offset' | 'size' | 'length' | 'body'> {
  const offset = parseCount(headers['upload-offset'])
  const length = parseCount(headers['content-length'])
  const size = parseCount(headers['upload-length'])
  const complete = headers['upload-complete']
  if (offset === undefined || length === undefined || size === undefined || !body)
    return refusal(400, 'Upload-Offset, Upload-Length and Content-Length are needed')
  if (length > pageBytes) return refusal(413, `at most ${pageBytes} bytes in one request`)
  if (allowed !== -1 && size !== allowed) return refusal(400, 'another size than the token says')
  if (offset + length > size || complete !== flag(offset + length === size))
    return refusal(400, 'Upload-Complete does not agree with the size')
  return { offset, size, length, body }
}

/** Whom the bytes are for, as far as it is known. */
function receiversOf(
  { identity }: ExchangeParts,
  { claims: { dir, iss, hld } }: Grant,
  { headers }: Request,
): readonly string[] {
  if (dir === 'down')
    return (headers.receivers ?? '').split(',').filter((name) => hld.includes(name))
  // What this exchange's own service asks for is for those who come and ask here.
  return iss === identity ? [] : [iss]
}

function answerTo(written: Written): Response {
  switch (written.is) {
    case 'written':
      return { status: 204, headers: uploadHeaders(written) }
    case 'moved':
      return refusal(409, 'the upload is at another offset', uploadHeaders(written))
    case 'full':
      return refusal(503, 'no room now', { 'retry-after': '1' })
    case 'elsewhere':
      return misdirected()
    case 'refused':
      return refusal(400, written.why)
  }
}

/** The archive document, and what time it is here: whoever asks has just proved us, so that it can be no old answer. */
function document({ directory, world }: ExchangeParts, { headers: asked }: Request): Response {
  const sealed = directory.sealed()
  const told = { etag: documentTag(directory), time: `${world.clock.now()}` }
  if (asked['if-none-match'] === told.etag) return { status: 304, headers: told }
  return {
    status: 200,
    headers: {
      ...told,
      'content-length': `${sealed.length}`,
      'content-type': 'application/json',
    },
    body: once(sealed),
  }
}

function membership(
  { directory, membership }: ExchangeParts,
  peer: string,
  collection: string,
): Response {
  if (directory.identity(peer)?.role !== 'pillar') return refusal(403, 'this is for pillars')
  const text = membership?.(collection)
  if (text === undefined) return refusal(503, 'nobody is registered here now')
  const bytes = new TextEncoder().encode(text)
  const headers = { 'content-length': `${bytes.length}`, 'content-type': 'application/json' }
  return { status: 200, headers, body: once(bytes) }
}

/** One line that says why, for people; peers go by the status and the headers. */
const refusal = (status: number, why: string, headers: Record<string, string> = {}): Response => ({
  status,
  headers,
  body: once(new TextEncoder().encode(`${why}\n`)),
})

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
