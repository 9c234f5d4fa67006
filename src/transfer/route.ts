/** Which exchange to try next: in the order of the token's list, passing over those that just could not be reached. */
import { limits } from '../limits.ts'
import type { Transmission } from '../protocol/parts.ts'
import type { Directory } from '../trust/directory.ts'
import type { World } from '../world/world.ts'
import { claimsOf, type TokenClaims } from './token.ts'
import type { Address } from './transfer.ts'

export interface Hop extends Address {
  readonly connectMs: number
  /** Not the issuer's own exchange: he must be told that we wait there. */
  readonly relay: boolean
}

/** A place that could not be reached is not tried again for so long. */
const avoidMs = 30_000

/** So many addresses of a client are tried: whoever issues tokens can not have pillars search a network for him. */
const lanUrlsMax = 4

/**
 * Where a pillar may dial at all: exchanges of the archive document at the addresses it gives, and the issuer's own
 * exchange at private addresses. A token can not send a pillar anywhere else.
 */
export function hopsOf(
  transmission: Transmission,
  directory: Directory,
): { claims: TokenClaims; hops: Hop[] } | undefined {
  const claims = claimsOf(transmission.token)
  if (!claims) return undefined
  const known = directory.document().exchanges
  const hops = transmission.exchanges.flatMap(({ identity, urls }): Hop[] => {
    if (!claims.aud.includes(identity)) return []
    const relay = identity !== claims.iss
    const registered = known.find((one) => one.identity === identity)
    if (registered)
      return registered.urls.map((url) => ({ identity, url, relay, connectMs: limits.connectMs }))
    if (relay) return []
    const near = urls.filter(isPrivate).slice(0, lanUrlsMax)
    // The client's own network costs at most a second in all, however many addresses it has there.
    const connectMs = Math.floor(limits.lanConnectMs / Math.max(1, near.length))
    return near.map((url) => ({ identity, url, relay, connectMs }))
  })
  return { claims, hops }
}

/**
 * https at loopback, RFC 1918, link-local or unique-local addresses, written in one way only: with leading zeros the
 * dialler would read another number than we do here (WHATWG URL §3.5: octal).
 */
export function isPrivate(url: string): boolean {
  const host = /^https:\/\/(\[[0-9a-f:]+\]|[0-9.]+):[1-9]\d{0,4}$/.exec(url)?.[1]
  if (host === undefined) return false
  if (host.startsWith('[')) return /^\[(::1\]|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:)/.test(host)
  const parts = host.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) return false
  const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number)
  if ([a, b, c, d].some((part) => part > 255)) return false
  return (
    a === 10 ||
    a === 127 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254)
  )
}

export interface Route {
  /** The first hop that is not avoided; the last one, which is the relay, when every one is. */
  next(hops: readonly Hop[]): Hop | undefined
  avoid(hop: Hop): void
}

/** Shared by all transfers of one transmission, so that a dead address costs its second only once. */
export function route(world: Pick<World, 'clock'>): Route {
  const until = new Map<string, number>()
  return {
    next: (hops) =>
      hops.find((hop) => (until.get(hop.url) ?? 0) <= world.clock.monotonic()) ?? hops.at(-1),
    avoid: (hop) => void until.set(hop.url, world.clock.monotonic() + avoidMs),
  }
}
