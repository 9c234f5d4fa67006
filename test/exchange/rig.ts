import type { Landing, Offer } from '../../src/exchange/bench.ts'
import { exchange } from '../../src/exchange/exchange.ts'
import type { Shelf } from '../../src/exchange/shelf.ts'
import { openSpool, type SpoolOptions } from '../../src/exchange/spool.ts'
import type { Identity } from '../../src/protocol/document.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { calmNet, simNet } from '../../src/sim/net.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { type Pull, pull, type Sink } from '../../src/transfer/pull.ts'
import { type Push, push } from '../../src/transfer/push.ts'
import { type Hop, route } from '../../src/transfer/route.ts'
import { issueToken, type TokenClaims } from '../../src/transfer/token.ts'
import type { Request, Response, Serve } from '../../src/transfer/transfer.ts'
import { openDirectory, sealDocument } from '../../src/trust/directory.ts'

export const relayUrl = 'https://203.0.113.1:443'
export const lanUrl = 'https://192.168.1.10:8443'
export const nameOf = (text: string): string => text.padEnd(22, '0')

const roles: readonly (readonly [name: string, role: Identity['role']])[] = [
  ['tracker', 'tracker'],
  ['ann', 'client'],
  ['bob', 'client'],
  ['attic', 'pillar'],
  ['cellar', 'pillar'],
  ['barn', 'pillar'],
  // A name that every object of JavaScript answers to.
  ['constructor', 'pillar'],
]

/** An archive in one thread: who is who, time, chance and a network; exchanges are put into it as wanted. */
export async function rig(seed: number | string = 1) {
  const time = simClock()
  const random = simRandom(seed)
  const world = simWorld(time.clock, random.fork('world'), 'rig')
  const faults = calmNet()
  const net = simNet({ clock: time.clock, random: random.fork('net'), faults })
  const keys = simKeys()
  const owner = simSigner('owner')
  const identities = roles.map(([name, role]) => ({
    name,
    role,
    publicKey: simSigner(name).publicKey,
  }))
  const sealed = sealDocument(
    {
      archive: 'test',
      version: 1,
      issuedAt: '2026-01-01T00:00:00.000Z',
      identities,
      collections: [{ name: 'home', pillars: ['attic'], copiesMin: 1, algorithm: 'sha256' }],
      exchanges: [{ identity: 'tracker', urls: [relayUrl] }],
    },
    owner,
  )
  const parts = { keys, owner: owner.publicKey, archive: 'test', state: openState(':memory:') }
  const directory = await openDirectory(parts, sealed)
  const exchangeOf = (identity: string, shelf: Shelf, pageBytes?: number): Serve =>
    exchange({
      world,
      identity,
      directory,
      keys,
      shelf,
      relay: identity === 'tracker',
      ...(pageBytes === undefined ? {} : { pageBytes }),
    })
  return { time, random, world, faults, net, keys, directory, sealed, exchangeOf }
}

export type Rig = Awaited<ReturnType<typeof rig>>

/** A spool with its disk and state, which can be opened again. */
export async function spoolRig(options: Partial<SpoolOptions> = {}, seed: number | string = 1) {
  const ground = await rig(seed)
  const disk = simDisk({ capacity: 1 << 30 })
  const state = openState(':memory:')
  const all = { quotaBytes: 64 * 1024, segmentBytes: 4096, expiryMs: 24 * 3600_000, ...options }
  const open = () => openSpool(ground.world, disk.disk, state, all)
  return { ...ground, disk, state, open, spool: await open() }
}

/** Claims as the tests mostly want them: by ann, for one object, for an hour. */
export const claims = (
  { time }: Pick<Rig, 'time'>,
  changed: Partial<TokenClaims> = {},
): TokenClaims => ({
  iss: 'ann',
  aud: ['ann', 'tracker'],
  hld: ['attic', 'cellar', 'barn'],
  dir: 'down',
  obj: [[nameOf('a'), 1000]],
  exp: Math.floor(time.clock.now() / 1000) + 3600,
  ...changed,
})

export const tokenBy = (signer: string, of: TokenClaims): string =>
  issueToken(simSigner(signer), of)

/** One call of an exchange, as if it had come over the network. */
export function ask(
  serve: Serve,
  peer: string,
  request: Partial<Request> & { token?: string; object?: string },
): Promise<Response> {
  const { token, object = 'ann/a', method = 'GET' } = request
  const [issuer = '', name = ''] = object.split('/')
  const path = request.path ?? `/objects/${issuer}/${nameOf(name)}`
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...request.headers,
  }
  const body = request.body === undefined ? {} : { body: request.body }
  return serve(peer, { method, path, headers, ...body }, new AbortController().signal)
}

/** The bytes of a file that exists only as a rule: any part of it can be made, and known again. */
export function patterned(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let n = 0; n < length; n++) bytes[n] = byteAt(offset + n)
  return bytes
}

const byteAt = (at: number): number => (at * 7 + (at >>> 8) * 31 + (at >>> 16) * 101) & 0xff

export async function* pattern(
  offset: number,
  length: number,
  chunkBytes = 1500,
): AsyncGenerator<Uint8Array> {
  for (let at = offset; at < offset + length; at += chunkBytes)
    yield patterned(at, Math.min(chunkBytes, offset + length - at))
}

export const patternOffer = (size: number): Offer => ({
  size,
  read: (offset, length) => pattern(offset, length),
})

export interface PatternPlace {
  readonly sink: Sink & Landing
  at: number
  safe: number
  written: number
  secured: number
  finished: number
  lose(): void
}

/** A place of a file that tells where bytes are wrong, and can lose what was not secured. */
export function patternSink(start = 0, perWrite?: () => Promise<void>): PatternPlace {
  const sink: Sink & Landing = {
    at: () => now.at,
    write: async (bytes: Uint8Array) => {
      if (perWrite) await perWrite()
      if (Buffer.compare(bytes, patterned(now.at, bytes.length)) !== 0)
        throw new Error(`wrong bytes between ${now.at} and ${now.at + bytes.length}`)
      now.at += bytes.length
      now.written += bytes.length
    },
    secure: async () => {
      now.safe = now.at
      now.secured++
    },
    finish: async (size: number) => {
      now.finished++
      return now.at === size ? undefined : 'too short'
    },
  }
  const now: PatternPlace = {
    sink,
    at: start,
    safe: start,
    written: 0,
    secured: 0,
    finished: 0,
    // The power is cut at the receiver.
    lose: () => {
      now.at = now.safe
    },
  }
  return now
}

export const hopTo = (identity: string, url: string, changed: Partial<Hop> = {}): Hop => ({
  identity,
  url,
  relay: identity === 'tracker',
  connectMs: identity === 'tracker' ? 5_000 : 1_000,
  ...changed,
})

export const atRelay: readonly Hop[] = [hopTo('tracker', relayUrl)]

/** What pull and push have in common. */
function task(rig: Rig, peer: string, object: string, size: number, dir: 'up' | 'down') {
  const issuer = object.split('/')[0] ?? ''
  const name = nameOf(object.split('/')[1] ?? '')
  const of = claims(rig, { iss: issuer, dir, obj: [[name, size]] })
  return {
    world: rig.world,
    dial: rig.net.dialAs(peer),
    route: route(rig.world),
    key: { issuer, name },
    size,
    signal: new AbortController().signal,
    hops: () => atRelay,
    token: () => tokenBy(issuer, of),
  }
}

export interface Way {
  readonly peer: string
  readonly object?: string
  readonly size: number
  readonly dir?: 'up' | 'down'
}

export const pulling = (
  rig: Rig,
  { peer, object = 'ann/a', size, dir = 'down' }: Way,
  sink: Sink,
  changed: Partial<Pull> = {},
): Promise<number> => pull({ ...task(rig, peer, object, size, dir), sink, ...changed })

export const pushing = (
  rig: Rig,
  { peer, object = 'ann/a', size, dir = 'down' }: Way,
  changed: Partial<Push> = {},
): Promise<void> =>
  push({
    ...task(rig, peer, object, size, dir),
    open: (offset) => pattern(offset, size - offset),
    ...changed,
  })

/** Tells the relay that this receiver is done. */
export async function releasing(
  rig: Rig,
  peer: string,
  size: number,
  object = 'ann/a',
  dir: 'up' | 'down' = 'down',
): Promise<number> {
  const { dial, key, token } = task(rig, peer, object, size, dir)
  const path = `/objects/${key.issuer}/${key.name}`
  const headers = { authorization: `Bearer ${token()}` }
  const to = { identity: 'tracker', url: relayUrl }
  const options = { connectMs: 5_000, idleMs: 30_000 }
  return (await dial(to, { method: 'DELETE', path, headers }, options)).status
}
