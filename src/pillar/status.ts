/** GetStatus: what is really so, from the index and the file system. */

import { answering, compose } from '../post/compose.ts'
import type { MessageOf, Status } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
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

async function look(
  { store, version, world, supply, state }: Desk,
  collection: string,
): Promise<Status> {
  const trouble = store.trouble()
  const space = await store.space()
  const summary = (await store.summary()).find((one) => one.collection === collection)
  const { bytesFree, bytesTotal, bytesReserved, bytesRetained } = space
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
  const warning = space.bytesOpen === 0 ? 'the volume is full up to its reserve' : weak
  return {
    verdict: trouble !== undefined ? 'ERROR' : warning !== undefined ? 'WARNING' : 'OK',
    text: trouble ?? warning ?? 'all is well',
    ...(power === undefined ? {} : { power }),
    version,
    volumes: [
      {
        id: store.volume,
        state: trouble === undefined ? 'ready' : 'failed',
        bytesFree,
        bytesTotal,
        bytesReserved,
        bytesRetained,
      },
    ],
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
