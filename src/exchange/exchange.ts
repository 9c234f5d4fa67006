/**
 * An exchange: an identity that offers and takes bytes by HTTPS. Down by GET with Range (RFC 9110 §14), up by HEAD and
 * PATCH with the names of the IETF draft on resumable uploads. Who may do what is said by the token alone.
 */
import { limits } from '../limits.ts'
import {
  flag,
  type ObjectKey,
  parseCount,
  parseObjectPath,
  parseRange,
} from '../transfer/objects.ts'
import { checkToken, type TokenClaims } from '../transfer/token.ts'
import type { Request, Response, Serve } from '../transfer/transfer.ts'
import type { Directory } from '../trust/directory.ts'
import type { Keys } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import type { Shelf } from './shelf.ts'

export interface ExchangeParts {
  readonly world: World
  readonly identity: string
  readonly directory: Directory
  readonly keys: Keys
  readonly shelf: Shelf
  /** Objects by a token whose issuer is not this exchange: only where it is a relay. */
  readonly relay: boolean
}

/** What a peer may do with one object. */
interface Grant {
  readonly key: ObjectKey
  readonly role: 'receiver' | 'sender'
  readonly size: number
  readonly claims: TokenClaims
}

export function exchange(parts: ExchangeParts): Serve {
  return async (peer, request, signal) => {
    if (request.path === '/archive-document' && request.method === 'GET')
      return document(parts.directory)
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
  const token = /^Bearer ([\w.-]+)$/.exec(request.headers['authorization'] ?? '')?.[1]
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
  return {
    status: 200,
    headers: {
      ...uploadHeaders(status),
      ...(status.size === undefined ? {} : { 'upload-length': `${status.size}` }),
    },
  }
}

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
  { key, size }: Grant,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const etag = `"${key.name}"`
  const header = request.headers['range']
  const range = header === undefined ? { first: 0, last: undefined } : parseRange(header)
  if (!range) return refusal(400, 'one range of bytes only')
  // RFC 9110 §13.1.5: with another validator the range is not to be honoured.
  const ranged = header !== undefined && (request.headers['if-range'] ?? etag) === etag
  const offset = ranged ? range.first : 0
  const length =
    ranged && range.last !== undefined ? range.last - range.first + 1 : Number.MAX_SAFE_INTEGER
  const safe = Math.min(parseCount(request.headers['safe-offset']) ?? 0, offset)
  const slice = await shelf.read(key, { peer, offset, length, safe, size }, signal)
  switch (slice.is) {
    case 'absent':
      return { ...refusal(503, 'not here yet'), headers: { 'retry-after': '1' } }
    case 'gone':
      return refusal(404, 'not offered any more')
    case 'passed':
      return {
        ...refusal(410, 'these bytes have gone'),
        headers: { 'window-start': `${slice.from}` },
      }
    case 'beyond':
      return {
        ...refusal(416, 'beyond the end'),
        headers: { 'content-range': `bytes */${slice.size}` },
      }
    case 'bytes': {
      const headers = { etag, 'accept-ranges': 'bytes', 'content-length': `${slice.length}` }
      const part = { 'content-range': `bytes ${offset}-${offset + slice.length - 1}/${slice.size}` }
      return {
        status: ranged ? 206 : 200,
        headers: ranged ? { ...headers, ...part } : headers,
        body: slice.bytes,
      }
    }
  }
}

async function patch(
  { shelf, identity }: ExchangeParts,
  peer: string,
  grant: Grant,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const { headers, body } = request
  const offset = parseCount(headers['upload-offset'])
  const length = parseCount(headers['content-length'])
  const size = parseCount(headers['upload-length'])
  const complete = headers['upload-complete']
  if (offset === undefined || length === undefined || size === undefined || !body)
    return refusal(400, 'Upload-Offset, Upload-Length and Content-Length are needed')
  if (length > limits.transferPageBytes)
    return refusal(413, `at most ${limits.transferPageBytes} bytes in one request`)
  if (grant.size !== -1 && size !== grant.size)
    return refusal(400, 'another size than the token says')
  if (offset + length > size || (complete === '?1') !== (offset + length === size))
    return refusal(400, 'Upload-Complete does not agree with the size')
  const { dir, iss, hld } = grant.claims
  // What this exchange's own service asks for is for those who come and ask here.
  const receivers =
    dir === 'up'
      ? iss === identity
        ? []
        : [iss]
      : (headers['receivers'] ?? '').split(',').filter((name) => hld.includes(name))
  const put = { peer, offset, size, length, body, receivers, expiresAt: grant.claims.exp * 1000 }
  const written = await shelf.write(grant.key, put, signal)
  switch (written.is) {
    case 'written':
      return { status: 204, headers: uploadHeaders(written) }
    case 'elsewhere':
      return { ...refusal(409, 'the upload is elsewhere'), headers: uploadHeaders(written) }
    case 'full':
      return { ...refusal(503, 'no room now'), headers: { 'retry-after': '1' } }
    case 'refused':
      return refusal(400, written.why)
  }
}

function document(directory: Directory): Response {
  const sealed = directory.sealed()
  return {
    status: 200,
    headers: { 'content-length': `${sealed.length}`, 'content-type': 'application/json' },
    body: once(sealed),
  }
}

/** One line that says why, for people; peers go by the status. */
function refusal(status: number, why: string): Response {
  return { status, headers: {}, body: once(new TextEncoder().encode(`${why}\n`)) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
