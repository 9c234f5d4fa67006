/**
 * Has a pillar give up surplus copies: asks it for a nonce, has others confirm by it that they have just read theirs, and
 * hands it what they have signed. The pillar judges; what it has not confirmed to have given up, it may still have.
 */
import { heardOf } from '../client/ask.ts'
import type { Client } from '../client/client.ts'
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import { type Epoch, type Fragment, fragmentFileId } from '../protocol/fragments.ts'
import type { RequestMessage } from '../protocol/messages.ts'
import { timeValue } from '../protocol/scalars.ts'
import type { View, ViewChange } from '../view/view.ts'
import type { Farewells } from './farewells.ts'

/** A copy to be given up, and who is to confirm another: nobody when it is unwanted. */
export type Surplus = Fragment & { readonly confirm: readonly string[] }

export interface Trimmed {
  /** Hashes of those that the pillar does not have any more. */
  readonly trimmed: readonly string[]
  /** Somebody does not have what the view says: there may be something to repair. */
  readonly isScarce: boolean
}

/** Resolves with what came of it; says nothing to anybody of fragments that were not to be had. */
export type Trim = (
  collection: string,
  pillar: string,
  surplus: readonly Surplus[],
  options: { readonly unwanted: boolean; readonly signal: AbortSignal },
) => Promise<Trimmed>

export interface TrimmingParts {
  readonly client: Client
  readonly view: View
  readonly farewells: Farewells
  epoch(): Epoch
}

/** How long one of these may wait in the broker. */
const expiryMs = 5 * 60_000

export function trimmer(parts: TrimmingParts): Trim {
  const { view } = parts
  return async (collection, pillar, surplus, { unwanted, signal }) => {
    const say = sayer(parts, collection, signal)
    const prepared = await say.prepare(pillar, surplus)
    if (!prepared) return { trimmed: [], isScarce: false }
    const absent = idsIn(surplus, prepared.absent)
    await view.change(lost(collection, pillar, absent))
    const here = surplus.filter((one) => !absent.includes(one))
    const nothing = { trimmed: absent.map(({ hash }) => hash), isScarce: absent.length > 0 }
    if (prepared.nonce === undefined || here.length === 0) return nothing
    const { nonce } = prepared
    const others = unwanted ? [] : await confirmed(parts, say, collection, pillar, nonce, here)
    const enough = here.filter((one) =>
      one.confirm.every((name) =>
        others.some(({ from, ids }) => from === name && ids.has(idOf(one))),
      ),
    )
    const isScarce = nothing.isScarce || others.some((one) => one.isScarce)
    if (enough.length === 0) return { ...nothing, isScarce }
    // First: whoever puts the same bytes now does not count on this copy.
    const until = timeValue(prepared.sentAt)
    parts.farewells.note(collection, pillar, hashesOf(enough), until)
    await view.change(lost(collection, pillar, enough))
    const confirmations = others.flatMap(({ sealed }) => sealed ?? [])
    const final = await say.trim(pillar, nonce, enough, confirmations, unwanted)
    const given = final?.files.flatMap(({ id, code }) => (code === 'FAILURE' ? [] : [id])) ?? []
    const gone = idsIn(enough, given)
    // Of one that is silent nothing is known until it joins again, and tells what it has.
    const kept = final ? enough.filter((one) => !gone.includes(one)) : []
    await view.change([
      ...lost(collection, pillar, gone),
      ...kept.map((one): ViewChange => {
        const fragment = { hash: one.hash, size: one.size, kind: one.kind }
        return { do: 'hold', collection, fragment, pillar, stage: 'persisted' }
      }),
    ])
    return { trimmed: [...nothing.trimmed, ...hashesOf(gone)], isScarce }
  }
}

const idOf = (one: Pick<Fragment, 'hash' | 'kind'>): string => fragmentFileId(one)
const hashesOf = (some: readonly Fragment[]): string[] => some.map(({ hash }) => hash)
const idsIn = (some: readonly Surplus[], ids: readonly string[]): Surplus[] =>
  some.filter((one) => ids.includes(idOf(one)))
const lost = (collection: string, pillar: string, some: readonly Fragment[]): ViewChange[] =>
  some.map(({ hash }) => ({ do: 'lose', collection, hash, pillar }))

interface Confirmer {
  readonly from: string
  readonly ids: ReadonlySet<string>
  readonly sealed: string | undefined
  /** It does not have all of them. */
  readonly isScarce: boolean
}

/** All that confirm something are asked at once. What one does not have any more is taken out of the view. */
function confirmed(
  { view }: TrimmingParts,
  say: ReturnType<typeof sayer>,
  collection: string,
  holder: string,
  nonce: string,
  surplus: readonly Surplus[],
): Promise<Confirmer[]> {
  const names = new Set(surplus.flatMap(({ confirm }) => confirm))
  return Promise.all(
    [...names].map(async (from): Promise<Confirmer> => {
      const mine = surplus.filter(({ confirm }) => confirm.includes(from))
      const answer = await say.confirm(from, holder, nonce, mine)
      if (!answer) return { from, ids: new Set(), sealed: undefined, isScarce: false }
      const absent = idsIn(mine, answer.absent)
      await view.change(lost(collection, from, absent))
      const here = mine.filter((one) => !absent.includes(one))
      const ids = new Set(here.map(idOf))
      return { from, ids, sealed: answer.confirmation, isScarce: absent.length > 0 }
    }),
  )
}

/** Says the three requests, each to one pillar; undefined of whoever stays silent. */
function sayer({ client, epoch }: TrimmingParts, collection: string, signal: AbortSignal) {
  const { world, name, line } = client
  const conversation = uuid7(world)
  const about = (pillar: string) => ({
    ...{ conversation, collection, epoch: epoch(), to: [pillar], replyTo: line.replyTo },
    expiresAt: expiryText(world, Math.min(expiryMs, limits.expiryMsMax)),
  })
  const named = (some: readonly Fragment[]) => some.map(({ hash, kind }) => ({ hash, kind }))
  const ask = (pillar: string, request: RequestMessage) => heardOf(client, pillar, request, signal)
  return {
    async prepare(pillar: string, some: readonly Fragment[]) {
      const type = 'PrepareTrimRequest' as const
      const draft = { type, ...about(pillar), fragments: named(some) }
      const answer = await ask(pillar, compose<typeof type>(world, name, draft))
      return answer?.type === 'PrepareTrimFinalResponse' ? answer : undefined
    },
    async confirm(pillar: string, holder: string, nonce: string, some: readonly Fragment[]) {
      const type = 'ConfirmFragmentsRequest' as const
      const draft = { type, ...about(pillar), holder, nonce, fragments: named(some) }
      const answer = await ask(pillar, compose<typeof type>(world, name, draft))
      return answer?.type === 'ConfirmFragmentsFinalResponse' ? answer : undefined
    },
    async trim(
      pillar: string,
      nonce: string,
      some: readonly Fragment[],
      confirmations: readonly string[],
      unwanted: boolean,
    ) {
      const type = 'TrimFragmentsRequest' as const
      const draft = { type, ...about(pillar), nonce, fragments: named(some), unwanted }
      const order = { ...draft, confirmations: [...confirmations] }
      const answer = await ask(pillar, compose<typeof type>(world, name, order))
      return answer?.type === 'TrimFragmentsFinalResponse' ? answer : undefined
    },
  }
}

/** So many fragments that the order, with what so many have signed, is one message. */
export const trimmedAtOnce = (copies: number): number =>
  Math.max(1, Math.min(limits.batchFilesMax, Math.floor(limits.pageBytesMax / (110 + 85 * copies))))
