/** The volumes of a pillar: which are known, which are here, and asking those that answer. */
import type { Sleeper } from '../bay/bay.ts'
import type { CollectionSummary, Index } from '../index/index.ts'
import type { State } from '../state/state.ts'
import type { Pulse } from './pulse.ts'
import type { Store, VolumeState } from './store.ts'

/** A volume that is here. */
export interface Member {
  readonly id: string
  readonly slot: number
  readonly store: Store
  readonly index: Index
  readonly pulse: Pulse
  /** Its disk sleeps while nothing is asked of it. */
  readonly sleeper?: Sleeper | undefined
  /** Nothing is asked of it before it is known that no id of it stands on another volume; nothing new comes to a leaving one. */
  state: 'joining' | 'ready' | 'leaving'
  /** How many files it had when they were counted last. */
  files?: number
  /** What the last question ended with, when it failed. */
  fault?: string | undefined
}

/** What is remembered of a volume, here or not. */
export interface Known {
  readonly slot: number
  /** Something was stored elsewhere while it did not answer: it may have come twice. */
  unseen: boolean
  /** Why it is not here; of one that is forgotten the number is kept, so that no other gets it. */
  gone?: 'missing' | 'ejected' | 'forgotten' | undefined
  /** How many files it had when they were counted last. */
  files?: number
}

export interface Members {
  readonly known: ReadonlyMap<string, Known>
  readonly here: Map<string, Member>
  /** Number of the volume; a new one gets the next. */
  remember(id: string): Promise<Known>
  note(id: string, about: Partial<Omit<Known, 'slot'>>): Promise<void>
  /** It will not come back: nothing is waited for, and nobody is told of it any more. */
  forget(id: string): Promise<void>
  /** Those that answer, by their numbers. */
  ready(): Member[]
  at(slot: number): Member | undefined
  /** The only one that there ever was: it is asked as if there was nothing else. */
  only(): Store | undefined
  /** Which do not answer, and why; undefined when all do. */
  away(): string | undefined
  states(): Promise<VolumeState[]>
  /** Asks all that answer; rejects only when none does. */
  each<T>(ask: (member: Member) => Promise<T>): Promise<Answered<T>[]>
  /** Asks one; rejects when it does not answer. */
  one<T>(member: Member, ask: () => Promise<T>): Promise<T>
}

export interface Answered<T> {
  readonly member: Member
  readonly value: T
}

const keyPrefix = 'volume '
const silence = 'has not answered for some seconds'

/** What is remembered of volumes, here or not. */
async function registry(
  state: State,
  isHere: (id: string) => boolean,
): Promise<Pick<Members, 'known' | 'remember' | 'note' | 'forget'>> {
  const all = new Map(
    (await state.list(keyPrefix)).map(([key, value]) => [
      key.slice(keyPrefix.length),
      JSON.parse(value) as Known,
    ]),
  )
  const known = new Map([...all].filter(([, { gone }]) => gone !== 'forgotten'))
  const keep = (id: string, about: Known): Promise<void> =>
    state.change([[keyPrefix + id, JSON.stringify(about)]])
  const nextSlot = (): number => Math.max(-1, ...[...all.values()].map(({ slot }) => slot)) + 1
  return {
    known,
    async remember(id) {
      const old = known.get(id)
      if (old) return old
      // It may have been another pillar's, or what was known is lost.
      const fresh: Known = { slot: all.get(id)?.slot ?? nextSlot(), unseen: known.size > 0 }
      await keep(id, fresh)
      known.set(id, fresh)
      all.set(id, fresh)
      return fresh
    },
    async forget(id) {
      const old = known.get(id)
      if (!old) throw new Error(`there is no volume ${id}`)
      if (isHere(id)) throw new Error(`volume ${id} is here: eject it first`)
      await keep(id, { slot: old.slot, unseen: true, gone: 'forgotten' })
      known.delete(id)
    },
    async note(id, about) {
      const old = known.get(id)
      if (!old) return
      Object.assign(old, about)
      await keep(id, old)
    },
  }
}

export async function members(state: State): Promise<Members> {
  const here = new Map<string, Member>()
  const kept = await registry(state, (id) => here.has(id))
  const { known } = kept
  const ready = (): Member[] =>
    [...here.values()]
      .filter((one) => one.state !== 'joining' && !one.pulse.isSilent())
      .sort((a, b) => a.slot - b.slot)

  async function one<T>(member: Member, ask: () => Promise<T>): Promise<T> {
    try {
      const answer = await member.pulse.orSilent(ask())
      if (!answer) throw new Error(`volume ${member.id} ${silence}`)
      member.fault = undefined
      return answer.value
    } catch (error) {
      member.fault = error instanceof Error ? error.message : String(error)
      throw error
    }
  }
  return {
    ...kept,
    here,
    ready,
    one,
    only() {
      const [first] = here.values()
      return known.size === 1 && first?.state === 'ready' ? first.store : undefined
    },
    at: (slot) => ready().find((member) => member.slot === slot),
    away() {
      const answering = new Set(ready().filter(({ fault }) => fault === undefined))
      const missing = [...known].filter(([id]) => {
        const member = here.get(id)
        return !member || !answering.has(member)
      })
      if (missing.length === 0) return undefined
      const told = missing.map(([id, about]) => `volume ${id} (${whyAway(here.get(id), about)})`)
      return `${told.join(', ')} ${told.length === 1 ? 'is' : 'are'} not available`
    },
    states: () =>
      Promise.all(
        [...known]
          .sort(([, a], [, b]) => a.slot - b.slot)
          .map(([id, about]) => stateOf(id, about, here.get(id))),
      ),
    async each(ask) {
      const asked = ready()
      const answers = await Promise.allSettled(
        asked.map((member) => one(member, () => ask(member))),
      )
      const good = answers.flatMap((answer, n) => {
        const member = asked[n]
        return answer.status === 'fulfilled' && member ? [{ member, value: answer.value }] : []
      })
      const bad = answers.find((answer) => answer.status === 'rejected')
      if (good.length === 0) throw bad ? bad.reason : new Error('no volume is available')
      return good
    },
  }
}

export function counted(member: Member, summaries: readonly CollectionSummary[]): void {
  member.files = summaries.reduce((sum, { files }) => sum + files, 0)
}

function whyAway(member: Member | undefined, { gone = 'missing', files }: Known): string {
  const many =
    files === undefined ? '' : `; ${files} ${files === 1 ? 'file' : 'files'} when last counted`
  if (!member) return gone + many
  if (member.pulse.isSilent()) return silence
  return member.state === 'joining' ? 'being looked through' : (member.fault ?? 'failing')
}

async function stateOf(id: string, known: Known, member: Member | undefined): Promise<VolumeState> {
  const state = known.gone === 'ejected' ? 'ejected' : 'missing'
  if (!member) return { id, state, text: whyAway(member, known) }
  const { pulse, store } = member
  // What it is waited for must not be waited for.
  if (pulse.isSilent()) return { id, state: 'silent', text: silence }
  try {
    const answer = await pulse.orSilent(store.space())
    if (!answer) return { id, state: 'silent', text: silence }
    const fault = member.sleeper?.fault()
    const trouble = store.trouble() ?? (fault && `its disk could not be woken: ${fault}`)
    const state =
      trouble !== undefined ? 'failed' : member.state === 'joining' ? 'joining' : 'ready'
    return { id, state, space: answer.value, ...(trouble === undefined ? {} : { text: trouble }) }
  } catch (error) {
    return { id, state: 'failed', text: error instanceof Error ? error.message : String(error) }
  }
}
