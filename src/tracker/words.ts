/**
 * The operator's words about pillars, durable: who is to go, and who is lost. Whoever is spoken of counts no more towards
 * the copies, nor must it have anything. A lost one that comes back, with whatever disk, counts again.
 */
import type { ArchiveDocument } from '../protocol/document.ts'
import type { PillarWord } from '../protocol/words.ts'
import type { State } from '../state/state.ts'

export interface Words {
  of(pillar: string): PillarWord | undefined
  leaves(pillar: string): boolean
  /** Those that do not count. */
  leaving(): string[]
  /** Durable when it resolves. Takes the word back when there is none. */
  say(pillar: string, word: PillarWord | undefined): Promise<void>
}

const prefix = 'word '

export async function openWords(state: State): Promise<Words> {
  const words = new Map<string, PillarWord>()
  for (const [key, word] of await state.list(prefix))
    words.set(key.slice(prefix.length), word === 'lost' ? 'lost' : 'retired')
  return {
    of: (pillar) => words.get(pillar),
    leaves: (pillar) => words.has(pillar),
    leaving: () => [...words.keys()].sort(),
    async say(pillar, word) {
      await state.change([[`${prefix}${pillar}`, word]])
      if (word === undefined) words.delete(pillar)
      else words.set(pillar, word)
    },
  }
}

export interface Scarcity {
  readonly collection: string
  readonly pillars: number
  readonly needed: number
}

/** Collections that would have too few pillars without those who leave, and lose one by it. Pure. */
export function scarceWithout(
  { collections, identities }: Pick<ArchiveDocument, 'collections' | 'identities'>,
  pillar: string,
  leaving: readonly string[],
): Scarcity[] {
  const keepsFiles = (name: string): boolean =>
    identities.find((one) => one.name === name)?.kind !== 'checksum'
  return collections.flatMap(({ name, pillars, copiesMin, fragments }) => {
    const left = pillars.filter(
      (one) => one !== pillar && !leaving.includes(one) && keepsFiles(one),
    )
    const needed = fragments?.copies ?? copiesMin
    const loses = pillars.includes(pillar) && keepsFiles(pillar)
    return loses && left.length < needed ? [{ collection: name, pillars: left.length, needed }] : []
  })
}
