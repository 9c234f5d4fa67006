/** Brings bytes to the tracker's exchange, for pillars that can not reach ours. Nothing goes there unasked. */
import { limits } from '../limits.ts'
import { objectPath } from '../transfer/objects.ts'
import { drop } from '../transfer/pull.ts'
import { push } from '../transfer/push.ts'
import { route } from '../transfer/route.ts'
import type { Client } from './client.ts'
import type { PutItem } from './put.ts'

export interface Relay {
  /** This pillar waits at the relay. Said again and again while it does. */
  wanted(pillar: string): void
  /** The operation is over: what nobody waits for is removed there. */
  end(): Promise<void>
}

export interface Cargo {
  readonly items: readonly PutItem[]
  readonly names: readonly string[]
  token(): string
  readonly signal: AbortSignal
}

export function relayFor(client: Client, cargo: Cargo): Relay {
  const { world, name, dial, directory } = client
  const relay = directory.document().exchanges.find((one) => one.identity !== name)
  const hops = (relay?.urls ?? []).map((url) => ({
    identity: relay?.identity ?? '',
    url,
    connectMs: limits.connectMs,
    relay: false,
  }))
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, cargo.signal])
  const receivers = new Set<string>()
  let asked = 0
  let running: Promise<void> | undefined

  async function pass(): Promise<void> {
    let seen: number
    do {
      seen = asked
      for (const [n, item] of cargo.items.entries()) {
        const key = { issuer: name, name: cargo.names[n] ?? '' }
        await push({
          world,
          dial,
          key,
          signal,
          size: item.size,
          route: route(world),
          token: cargo.token,
          hops: () => hops,
          receivers: () => [...receivers],
          windows: client.windows,
          closedFor: (ms) => ms !== undefined && client.onClosed?.(ms),
          open: (offset) => item.offer.read(offset, item.size - offset),
        }).catch((error) => world.log.info('relay.failed', { id: item.id, why: String(error) }))
      }
    } while (seen !== asked && !signal.aborted)
    running = undefined
  }
  async function remove(): Promise<void> {
    const hop = hops[0]
    if (!hop) return
    for (const one of cargo.names) {
      const request = {
        method: 'DELETE',
        path: objectPath({ issuer: name, name: one }),
        headers: { authorization: `Bearer ${cargo.token()}` },
      } as const
      await dial(hop, request, {
        signal: cargo.signal,
        connectMs: limits.connectMs,
        idleMs: limits.connectMs,
      })
        .then(drop)
        .catch(() => undefined)
    }
  }
  return {
    wanted(pillar) {
      receivers.add(pillar)
      asked++
      if (hops.length > 0) running ??= pass()
    },
    async end() {
      stop.abort()
      await running
      if (asked > 0 && !cargo.signal.aborted) await remove()
    },
  }
}
