/**
 * What a pillar notes of its fragments beside the store: which it holds for the time being only, and who holds the others'
 * copies. Lost notes lose nothing: what is not noted as temporary is kept for good.
 */
import type { Epoch, Fragment, Membership } from '../../protocol/fragments.ts'
import { fragmentFileId } from '../../protocol/fragments.ts'
import type { State } from '../../state/state.ts'

type Named = Pick<Fragment, 'hash' | 'kind'>

/** By which distribution it came, and which tracker ordered it. */
export interface Temporary {
  readonly distribution: string
  readonly epoch: Epoch
}

export interface Notes {
  /** Before the first byte is stored. Resolves only once it would survive a power cut, as all of these do. */
  noteTemporary(collection: string, fragments: readonly Named[], of: Temporary): Promise<void>
  temporary(collection: string, fragment: Named): Promise<Temporary | undefined>
  /** Also what is still on its way. */
  allTemporary(): Promise<{ readonly collection: string; readonly id: string }[]>
  /** It never came, or was discarded. */
  drop(collection: string, fragments: readonly Named[]): Promise<void>
  /** Kept for good, and so do these. */
  persist(
    collection: string,
    fragments: readonly (Named & { readonly holders: readonly string[] })[],
  ): Promise<void>
  /** Whether it was to be kept for good. */
  isHeld(collection: string, fragment: Named): Promise<boolean>
  /** Not kept any more. */
  release(collection: string, fragments: readonly Named[]): Promise<void>
  /** The highest epoch that was ever seen. */
  epoch(): Promise<Epoch | undefined>
  noteEpoch(epoch: Epoch): Promise<void>
  /** The newest membership of a collection, and the one before. */
  memberships(collection: string): Promise<Membership[]>
  noteMemberships(memberships: readonly Membership[]): Promise<void>
}

const temporaryKey = 'fragment temporary '
const heldKey = 'fragment held '
const keyOf = (collection: string, fragment: Named): string =>
  `${collection} ${fragmentFileId(fragment)}`
const epochKey = 'fragment epoch'
const membershipKey = (collection: string): string => `fragment membership ${collection}`

export function notes(state: State): Notes {
  const read = async <T>(key: string): Promise<T | undefined> => {
    const text = await state.get(key)
    return text === undefined ? undefined : (JSON.parse(text) as T)
  }
  return {
    noteTemporary: (collection, fragments, of) =>
      state.change(
        fragments.map((one) => [temporaryKey + keyOf(collection, one), JSON.stringify(of)]),
      ),
    temporary: (collection, fragment) => read(temporaryKey + keyOf(collection, fragment)),
    async allTemporary() {
      return (await state.list(temporaryKey)).map(([key]) => {
        const [collection = '', id = ''] = key.slice(temporaryKey.length).split(' ')
        return { collection, id }
      })
    },
    drop: (collection, fragments) =>
      state.change(fragments.map((one) => [temporaryKey + keyOf(collection, one), undefined])),
    persist: (collection, fragments) =>
      state.change(
        fragments.flatMap((one) => [
          [temporaryKey + keyOf(collection, one), undefined] as const,
          [heldKey + keyOf(collection, one), JSON.stringify(one.holders)] as const,
        ]),
      ),
    isHeld: async (collection, fragment) =>
      (await state.get(heldKey + keyOf(collection, fragment))) !== undefined,
    release: (collection, fragments) =>
      state.change(fragments.map((one) => [heldKey + keyOf(collection, one), undefined])),
    epoch: () => read(epochKey),
    noteEpoch: (epoch) => state.change([[epochKey, JSON.stringify(epoch)]]),
    memberships: async (collection) => (await read<Membership[]>(membershipKey(collection))) ?? [],
    async noteMemberships(memberships) {
      const entries = memberships.map(async (fresh): Promise<[string, string]> => {
        const known = (await read<Membership[]>(membershipKey(fresh.collection))) ?? []
        const before = known.filter(({ version }) => version !== fresh.version)
        return [membershipKey(fresh.collection), JSON.stringify([fresh, ...before].slice(0, 2))]
      })
      await state.change(await Promise.all(entries))
    },
  }
}
