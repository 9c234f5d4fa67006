/** `put --changed replace`: a file that changed takes the place of what the archive has, on every pillar or on none. */
import type { Known } from '../client/list.ts'
import type { PutItem } from '../client/put.ts'
import { replaceFile } from '../client/replace.ts'
import type { Desk } from './desk.ts'
import { wantsTwo } from './orders.ts'

export interface Replacing {
  /** Pillars that did not say what they have. */
  readonly silent: readonly string[]
  readonly note?: string | undefined
}

/**
 * Undefined when all pillars that had other bytes have these now; else why not. A pillar that is silent may have others
 * as well: nothing is replaced without it. Goes on where an interruption has left some pillars with the old bytes.
 */
export async function replaceEverywhere(
  desk: Desk,
  collection: string,
  item: PutItem,
  there: Known,
  { silent, note }: Replacing,
): Promise<string | undefined> {
  const { client, signal } = desk
  if (wantsTwo(desk, collection))
    return 'two people must want it to be replaced: `colonnade replace` writes an order'
  const sums = new Map([
    ...there.pillars.map((pillar): [string, string] => [pillar, there.checksum]),
    ...(there.others ?? []),
  ])
  const old = [...sums].filter(([, sum]) => sum !== item.checksum)
  const [one, another] = new Set(old.map(([, sum]) => sum))
  if (one === undefined) return undefined
  if (another !== undefined)
    return 'the pillars differ in what they have: replace it by `colonnade replace`'
  const pillars = [...old.map(([pillar]) => pillar), ...silent]
  const done = await replaceFile(client, collection, one, item, pillars, {
    signal,
    ...(note === undefined ? {} : { information: note }),
  })
  const open = done.filter(({ is }) => is !== 'done')
  const [first] = open
  if (!first) return undefined
  const names = open.map(({ pillar }) => pillar).join(', ')
  if (first.is === 'silent') return `it can not be replaced while ${names} does not answer`
  return `it is not replaced on ${names}: ${first.why ?? 'it is not there any more'}`
}
