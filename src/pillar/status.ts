/** GetStatus: what is really so, from the index and the file system. */

import { answering, compose } from '../post/compose.ts'
import type { MessageOf, Status } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import type { Space, Store, VolumeState } from '../store/store.ts'
import type { Desk } from './pillar.ts'
import { powerStatus } from './power.ts'

export async function status(desk: Desk, request: MessageOf<'GetStatusRequest'>): Promise<void> {
  const type = 'GetStatusFinalResponse' as const
  const found = await look(desk, request.collection)
  await desk.answer(
    request,
    compose<typeof type>(desk.world, desk.name, {
      type,
      ...answering(request, desk.name, 'OPERATION_COMPLETED'),
      status: found,
    }),
  )
}

const dayMs = 24 * 3_600_000

/** How a pillar with one volume is told that has no more to say of it. */
export async function volumesOf(store: Store): Promise<VolumeState[]> {
  if (store.volumes) return store.volumes()
  const state = store.trouble() === undefined ? ('ready' as const) : ('failed' as const)
  return [{ id: store.volume, state, space: await store.space() }]
}

const noSpace: Space = {
  bytesFree: 0,
  bytesTotal: 0,
  bytesReserved: 0,
  bytesRetained: 0,
  bytesOpen: 0,
}

async function look(desk: Desk, collection: string): Promise<Status> {
  const { store, version, world, supply, state } = desk
  const volumes = await volumesOf(store)
  const away = store.away?.()
  const trouble = store.trouble()
  if (volumes.length > 0 && volumes.every(({ space }) => space === undefined))
    return nothing(version, volumes, away)
  const bytesOpen = volumes.reduce((sum, { space }) => sum + (space?.bytesOpen ?? 0), 0)
  const summary = (await store.summary()).find((one) => one.collection === collection)
  const failed = volumes.find(({ state }) => state === 'failed')
  const hurt = failed && `volume ${failed.id} takes no more writes: ${failed.text}`
  const days = [30, 60, 90, 365]
  const now = world.clock.now()
  const ages = await store.proofAges(
    collection,
    days.map((count) => now - count * dayMs),
  )
  const oldest = await store.oldestProof(collection)
  const copies = await store.spread?.(collection)
  const { power } = await powerStatus(supply, state)
  const weak = power === undefined || power.mode === 'mains' ? undefined : power.text
  const warning = away ?? hurt ?? (bytesOpen === 0 ? fullText(volumes) : weak)
  return {
    verdict: trouble !== undefined ? 'ERROR' : warning !== undefined ? 'WARNING' : 'OK',
    text: trouble ?? warning ?? 'all is well',
    ...(power === undefined ? {} : { power }),
    ...(desk.cipher === undefined ? {} : { cipher: desk.cipher }),
    ...(desk.wear ? { wear: await desk.wear() } : {}),
    version,
    volumes: volumes.map(told),
    files: summary?.files ?? 0,
    bytes: summary?.bytes ?? 0,
    digest: summary?.digest ?? '',
    // What was only told was never proven.
    ...(oldest === undefined || oldest === 0 ? {} : { oldestProof: timeText(oldest) }),
    proofAges: days.map((count, n) => ({ days: count, files: ages[n] ?? 0 })),
    receiving: await store.receivingCount(),
    ...(store.kind === 'file' ? {} : { kind: store.kind }),
    ...(copies === undefined ? {} : { copies: { ...copies } }),
  }
}

const fullText = (volumes: readonly VolumeState[]): string =>
  volumes.length > 1
    ? 'the volumes are full up to their reserve'
    : 'the volume is full up to its reserve'

function told({ id, state, space = noSpace, text }: VolumeState): Status['volumes'][number] {
  const { bytesFree, bytesTotal, bytesReserved, bytesRetained } = space
  const known = { id, state, bytesFree, bytesTotal, bytesReserved, bytesRetained }
  return text === undefined ? known : { ...known, text }
}

/** No volume answers: what is stored can not be told. */
const nothing = (
  version: string,
  volumes: readonly VolumeState[],
  text = 'no volume is available',
): Status => ({
  ...{ verdict: 'ERROR', text, version, volumes: volumes.map(told) },
  ...{ files: 0, bytes: 0, digest: '', receiving: 0 },
})
