/**
 * Tokens: compact JWS (RFC 7515 §3.1) by the client of an operation. A token designates one data transmission and is
 * sufficient to complete it: nobody has to be asked.
 */

import type { ArchiveDocument } from '../protocol/document.ts'
import { parseClaims, type TokenClaims } from '../protocol/token.ts'
import type { Directory } from '../trust/directory.ts'
import type { Keys, Signer } from '../trust/trust.ts'

export type { TokenClaims } from '../protocol/token.ts'

const part = (text: string): string => Buffer.from(text, 'utf8').toString('base64url')

export function issueToken(signer: Signer, claims: TokenClaims): string {
  const head = part(JSON.stringify({ alg: signer.algorithm, kid: signer.keyId, typ: 'JWT' }))
  const signed = `${head}.${part(JSON.stringify(claims))}`
  return `${signed}.${Buffer.from(signer.sign(Buffer.from(signed))).toString('base64url')}`
}

export type Checked = { readonly claims: TokenClaims } | { readonly refused: string }

/**
 * Tokens whose signature was found right by a document, with their claims: one token is shown with each of the files that it
 * is for, and to verify it costs more than all else of a small one. A newer document may know other keys.
 */
const verified = new WeakMap<ArchiveDocument, Map<string, TokenClaims>>()
const verifiedMax = 64

/** Signature, issuer and expiry; what it is good for is the caller's matter. */
export function checkToken(
  token: string,
  directory: Directory,
  keys: Keys,
  nowMs: number,
): Checked {
  const document = directory.document()
  const known = verified.get(document) ?? new Map<string, TokenClaims>()
  verified.set(document, known)
  const before = known.get(token)
  const checked = before ? { claims: before } : checkSignature(token, directory, keys)
  if ('refused' in checked) return checked
  if (!before && known.size >= verifiedMax) known.clear()
  known.set(token, checked.claims)
  // RFC 7519 §4.1.4: not on or after that moment.
  if (checked.claims.exp * 1000 <= nowMs) return { refused: 'an expired token' }
  return checked
}

function checkSignature(token: string, directory: Directory, keys: Keys): Checked {
  const [head = '', body = '', signature = '', ...more] = token.split('.')
  if (more.length > 0 || signature === '') return { refused: 'not a token' }
  const header = parseHeader(head)
  const owner = header && directory.keyOwner(header.kid)
  if (!header || !owner) return { refused: 'a token by an unknown key' }
  // Pillars only dial out and issue nothing: one that was broken into can not fill a relay.
  if (owner.role === 'pillar') return { refused: 'a token by a pillar' }
  const right = keys.verify(
    header.alg,
    owner.publicKey,
    Buffer.from(`${head}.${body}`),
    Buffer.from(signature, 'base64url'),
  )
  if (!right) return { refused: 'a token with a wrong signature' }
  const claims = parseClaims(Buffer.from(body, 'base64url').toString('utf8'))
  if (!claims) return { refused: 'a token with wrong claims' }
  if (claims.iss !== owner.name) return { refused: 'a token in the name of another' }
  return { claims }
}

/** The algorithm it names must be the key's own: `Keys.verify` sees to that, so neither `none` nor any other passes. */
function parseHeader(text: string): { alg: string; kid: string } | undefined {
  try {
    const header: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (typeof header !== 'object' || header === null) return undefined
    // RFC 7515 §4.1.11: what must be understood and is not makes the whole invalid. We know no extension.
    if ('crit' in header || !('alg' in header) || !('kid' in header)) return undefined
    const { alg, kid } = header
    return typeof alg === 'string' && typeof kid === 'string' ? { alg, kid } : undefined
  } catch {
    return undefined
  }
}

/** The claims read last: they are asked for with each of the files that the token is for. */
let read: { readonly token: string; readonly claims: TokenClaims | undefined } | undefined

/** Reads the claims of one's own or an already checked token. */
export function claimsOf(token: string): TokenClaims | undefined {
  if (read?.token !== token)
    read = {
      token,
      claims: parseClaims(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')),
    }
  return read.claims
}
