/**
 * What programs embed: puts, gets and asks. The intelligence is here: pillars and broker have none. A client runs its
 * own exchange while it works, so that pillars of the same network need nobody else.
 */
import { type Bench, bench as newBench } from '../exchange/bench.ts'
import { exchange } from '../exchange/exchange.ts'
import { limits } from '../limits.ts'
import { keepersOf } from '../protocol/document.ts'
import type { Transmission } from '../protocol/parts.ts'
import { issueToken, type TokenClaims } from '../transfer/token.ts'
import type { Dial, Serve } from '../transfer/transfer.ts'
import type { Windows } from '../transfer/windows.ts'
import { type Line, type LineParts, openLine } from './line.ts'

export interface ClientParts
  extends Omit<LineParts, 'onAlarm' | 'onPresence'>,
    Pick<LineParts, 'onAlarm' | 'onPresence'> {
  readonly dial: Dial
  /** Opens the client's own exchange to its network; undefined when it shall have none. */
  serve?(serve: Serve): Promise<{ readonly urls: readonly string[]; close(): Promise<void> }>
  /** When what can wait may use the link; at all times when absent. */
  readonly windows?: Windows
  /** What is to go over the internet waits so many milliseconds for the next window. */
  onClosed?(ms: number): void
  /** A pillar without a sign for so long is given up, milliseconds. */
  readonly idleMs?: number
}

/** What the operations work with. */
export interface Client extends ClientParts {
  readonly line: Line
  readonly bench: Bench
  readonly idleMs: number
  readonly signal: AbortSignal
  transmission(claims: Pick<TokenClaims, 'hld' | 'dir' | 'obj'>): Transmission
  /** Who answers for a collection, and how many of them must; rejects with a sentence when there is none of this name. */
  policy(collection: string): { readonly pillars: readonly string[]; readonly copiesMin: number }
  close(): Promise<void>
}

/** A request that can not be made; the text is for the user. */
export class Unable extends Error {
  override readonly name = 'Unable'
}

export async function startClient(parts: ClientParts): Promise<Client> {
  const { world, name, directory, keys, signer } = parts
  const bench = newBench()
  const stop = new AbortController()
  const own = await parts.serve?.(
    exchange({ world, identity: name, directory, keys, shelf: bench, relay: false }),
  )
  const line = openLine(parts)
  return {
    ...parts,
    line,
    bench,
    idleMs: parts.idleMs ?? 90_000,
    signal: stop.signal,
    transmission(claims) {
      const relays = directory.document().exchanges.filter((one) => one.identity !== name)
      const exchanges = [
        ...(own && own.urls.length > 0 ? [{ identity: name, urls: [...own.urls] }] : []),
        ...relays,
      ]
      const exp = Math.floor((world.clock.now() + limits.performExpiryMs) / 1000)
      const token = issueToken(signer, {
        ...claims,
        iss: name,
        aud: exchanges.map((one) => one.identity),
        exp,
      })
      return { exchanges, token }
    },
    policy(collection) {
      const found = directory.collection(collection)
      if (!found) throw new Unable(`there is no collection ${collection} in this archive`)
      if (!found.fragments) return found
      // The tracker is safe only when the pillars are: its one answer stands for all copies.
      return { pillars: keepersOf(directory.document(), found), copiesMin: 1 }
    },
    async close() {
      stop.abort()
      await line.close()
      await own?.close()
    },
  }
}
