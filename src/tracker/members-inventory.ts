/**
 * What a pillar holds, fetched from itself: part by part of the hashes, so that of a million fragments a few thousand are
 * in memory. It brings the view in line after a gap, and makes it anew when the tracker has lost its disk.
 */
import { heardOf } from '../client/ask.ts'
import { type Client, Unable } from '../client/client.ts'
import { listPillar } from '../client/list.ts'
import { common } from '../client/pages.ts'
import { compose } from '../post/compose.ts'
import { fragmentOfFileId } from '../protocol/fragments.ts'
import type { Holding, View, ViewChange } from '../view/view.ts'

export interface Reconciled {
  /** What the pillar says of itself afterwards; equal to the view's if nothing happened meanwhile. */
  readonly said: Holding
  readonly held: number
  readonly lost: number
  /** Files that are no fragments, or not what their names say; they do not count. */
  readonly strangers: number
  /** Of those that are held now, texts that nobody knew of. */
  readonly texts: number
}

/** Asks one pillar; rejects with `Unable` when it does not answer. */
export type Inventory = (
  collection: string,
  pillar: string,
  signal: AbortSignal,
) => Promise<Reconciled>

const atOnceMax = 16_384
const changesMax = 2_000

/** Beginnings of hashes, of which each has so few fragments that they fit into memory. */
export function partsOf(files: number): string[] {
  const digits = files <= atOnceMax ? 0 : files <= atOnceMax * 256 ? 2 : 3
  if (digits === 0) return ['']
  return Array.from({ length: 16 ** digits }, (_, n) => n.toString(16).padStart(digits, '0'))
}

/** Under which beginnings of ids a pillar keeps the fragments of one part; of all files when there is one part. */
export const prefixesOf = (part: string): string[] => {
  if (part === '') return ['']
  const folder = part.slice(0, 2)
  const rest = part.slice(2)
  return [`${folder}/${rest}`, rest === '' ? `files/${folder}/` : `files/${folder}/${part}`]
}

export function inventory(client: Client, view: View): Inventory {
  return async (collection, pillar, signal) => {
    const [before, said] = [
      await view.holding(collection, pillar),
      await statusOf(client, collection, pillar, signal),
    ]
    const sum = { held: 0, lost: 0, strangers: 0, texts: 0 }
    for (const part of partsOf(Math.max(before.files, said.files))) {
      // First what the view says: what comes to the pillar meanwhile is then not taken for lost.
      const absent = new Set(await view.held(collection, pillar, part))
      const changes: ViewChange[] = []
      for (const prefix of prefixesOf(part)) {
        const query = prefix === '' ? {} : { prefix }
        for await (const { id, size, checksum } of listPillar(
          client,
          collection,
          pillar,
          query,
          signal,
        )) {
          const named = fragmentOfFileId(id)
          const known = named && (await view.fragment(collection, named.hash))
          if (!named || checksum !== named.hash || (known && known.size !== size)) {
            sum.strangers++
            continue
          }
          absent.delete(named.hash)
          if (known?.holders.some((holder) => holder.pillar === pillar)) continue
          sum.held++
          if (!known && named.kind === 'info') sum.texts++
          const fragment = { ...named, size }
          const at = client.world.clock.now()
          changes.push({ do: 'hold', collection, fragment, pillar, stage: 'persisted', at })
          if (changes.length >= changesMax) await view.change(changes.splice(0))
        }
      }
      for (const hash of absent) changes.push({ do: 'lose', collection, hash, pillar })
      sum.lost += absent.size
      while (changes.length > 0) await view.change(changes.splice(0, changesMax))
    }
    return { ...sum, said: await statusOf(client, collection, pillar, signal) }
  }
}

async function statusOf(
  client: Client,
  collection: string,
  pillar: string,
  signal: AbortSignal,
): Promise<Holding> {
  const request = compose<'GetStatusRequest'>(client.world, client.name, {
    type: 'GetStatusRequest',
    ...common(client, collection),
    to: [pillar],
  })
  const answer = await heardOf(client, pillar, request, signal)
  if (answer?.type !== 'GetStatusFinalResponse' || !answer.status)
    throw new Unable(`${pillar} did not say its status`)
  const { files, bytes, digest } = answer.status
  return { files, bytes, digest }
}
