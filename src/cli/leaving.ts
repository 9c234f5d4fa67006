/** Pillars that are to go, or are lost, and room that no fragment can use: as sentences. */
import type { Status } from '../protocol/messages.ts'
import type { Leaving, Unusable } from '../protocol/words.ts'
import { formatBytes } from '../world/units.ts'
import { many } from './output.ts'

/** Of one collection of a pillar that leaves. */
export interface Farewell {
  readonly line: string
  /** The others have all that is to be had of it. */
  readonly isDone: boolean
}

/** How far it is. Whole files are elsewhere when as many others as it takes say the very same of themselves. */
export function farewell(
  { pillar, word, fragments, fragmentsLeft }: Leaving,
  {
    statuses,
    leaving,
    copiesMin,
  }: {
    readonly statuses: ReadonlyMap<string, Status | undefined>
    readonly leaving: readonly string[]
    readonly copiesMin: number
  },
): Farewell {
  const who = `${pillar} is ${word === 'lost' ? 'lost' : 'being retired'}`
  if (fragments !== undefined && fragmentsLeft !== undefined) {
    const line = `${who}: ${fragments - fragmentsLeft} of ${many(fragments, 'fragment')} have their copies elsewhere`
    return { line, isDone: fragmentsLeft === 0 }
  }
  const mine = statuses.get(pillar)
  if (word === 'lost') return { line: `${who}: the others do without it`, isDone: true }
  if (!mine) return { line: `${who}, and not there: nobody knows what it alone has`, isDone: false }
  const same = [...statuses].filter(
    ([name, one]) =>
      one && !leaving.includes(name) && one.kind !== 'checksum' && digestOf(one) === digestOf(mine),
  )
  const isDone = same.length >= copiesMin
  const line = isDone
    ? `${who}: ${many(mine.files, 'file')} on ${many(same.length, 'other')}`
    : `${who}: only ${same.length} of ${many(copiesMin, 'other')} have all its files yet`
  return { line, isDone }
}

const digestOf = ({ files, digest }: Status): string => (files === 0 ? '' : digest)

/** One line for each pillar that may be switched off, or may not yet. */
export function verdictsOf(
  leaving: readonly Leaving[],
  isDone: (one: Leaving) => boolean,
): string[] {
  const retired = leaving.filter(({ word }) => word === 'retired')
  return [...new Set(retired.map(({ pillar }) => pillar))].map((pillar) =>
    retired.filter((one) => one.pillar === pillar).every(isDone)
      ? `${pillar} can be switched off`
      : `${pillar} must stay on: its copies are being moved away`,
  )
}

export const unusableLine = ({ pillar, bytes }: Unusable): string =>
  `${formatBytes(bytes)} of ${pillar} can not be used: the other copies would find no room; give the others more`
