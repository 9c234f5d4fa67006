/** Claims of a transmission token. */
import * as v from 'valibot'
import { Bytes, Name } from './scalars.ts'

export const TokenClaims = v.object({
  /** Who issued it: always the client of the operation. */
  iss: Name,
  /** Exchanges it is good at. */
  aud: v.array(Name),
  /** Pillars that may use it, proved by their certificates. */
  hld: v.array(Name),
  /** `down`: the holder fetches; `up`: the holder delivers. */
  dir: v.picklist(['down', 'up']),
  /** Objects by name and size; a size of -1 is not known to the issuer. */
  obj: v.array(
    v.tuple([v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{22}$/)), v.union([Bytes, v.literal(-1)])]),
  ),
  /** End of validity, seconds since 1970 (RFC 7519 §4.1.4). */
  exp: v.pipe(v.number(), v.safeInteger()),
})
export type TokenClaims = v.InferOutput<typeof TokenClaims>

export function parseClaims(text: string): TokenClaims | undefined {
  try {
    const parsed = v.safeParse(TokenClaims, JSON.parse(text))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
