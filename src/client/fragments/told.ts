/** Of which fragments files consist, and who holds each: asked of whoever keeps the collection, page by page. */

import { limits } from '../../limits.ts'
import { compose, expiryText, uuid7 } from '../../post/compose.ts'
import type { Fragment } from '../../protocol/fragments.ts'
import { askOne } from '../ask.ts'
import { type Client, Unable } from '../client.ts'

export interface Asked {
  readonly id: string
  readonly checksum: string
  readonly size: number
  readonly offset?: number
  readonly length?: number
}

/** A fragment where it stands in a file. */
export interface ToldFragment extends Fragment {
  /** Place of the file among those that were asked for. */
  readonly file: number
  /** Where it begins in the file. */
  readonly at: number
  readonly holders: readonly string[]
}

export interface Told {
  /** In the order of the files, and in that of their bytes. */
  readonly fragments: readonly ToldFragment[]
  /** Files of which nothing is known: they can only be had whole. */
  readonly unknown: ReadonlySet<number>
}

/** Rejects with `Unable` when the keeper is silent; one that does not know the question knows nothing of all files. */
export async function fragmentsOf(
  client: Client,
  collection: string,
  keeper: string,
  asked: readonly Asked[],
  signal: AbortSignal,
): Promise<Told> {
  const { world, name, line } = client
  const conversation = uuid7(world)
  const fragments: ToldFragment[] = []
  const unknown = new Set<number>()
  for (let page = 0; ; page++) {
    const request = compose<'GetFragmentsRequest'>(world, name, {
      type: 'GetFragmentsRequest',
      ...{ conversation, collection, page, replyTo: line.replyTo, to: [keeper] },
      expiresAt: expiryText(world, limits.identifyExpiryMs),
      files: asked.map(({ id, checksum, offset, length }) => ({
        ...{ id, checksum },
        ...(offset === undefined ? {} : { offset }),
        ...(length === undefined ? {} : { length }),
      })),
      skip: fragments.length,
    })
    const answer = await askOne(client, keeper, request, signal)
    const { code, text } = answer.responseInfo
    if (answer.type === 'NotUnderstoodResponse' || code === 'REQUEST_NOT_SUPPORTED')
      return { fragments: [], unknown: new Set(asked.keys()) }
    if (answer.type !== 'GetFragmentsFinalResponse' || code !== 'OPERATION_COMPLETED')
      throw new Unable(`${keeper}: ${text ?? code}`)
    for (const place of answer.unknown ?? []) unknown.add(place)
    for (const { holders, ...fragment } of answer.fragments)
      fragments.push({
        ...fragment,
        holders: holders.flatMap((place) => answer.holders[place] ?? []),
      })
    if (!answer.partialResult || answer.fragments.length === 0) break
  }
  for (const file of asked.keys()) if (!isCovered(asked, fragments, file)) unknown.add(file)
  return { fragments: fragments.filter(({ file }) => asked[file] && !unknown.has(file)), unknown }
}

/** Whether they lie one behind the other, from before the beginning of what is wanted to behind its end. */
function isCovered(
  asked: readonly Asked[],
  fragments: readonly ToldFragment[],
  place: number,
): boolean {
  const { size, offset = 0, length = size - offset } = asked[place] ?? { size: 0 }
  const mine = fragments.filter(({ file }) => file === place)
  let end = mine[0]?.at ?? offset
  if (end > offset) return false
  for (const { at, size } of mine) {
    if (at !== end) return false
    end += size
  }
  return end >= offset + length
}
