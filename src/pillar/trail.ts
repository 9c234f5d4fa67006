/** GetAuditTrails: entries of the audit chain, and whether the chain holds. */
import type { TrailEntry } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { TrailItem } from '../protocol/audit.ts'
import { keyOf } from '../protocol/envelope.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import type { Chain } from '../store/store.ts'
import { fitting } from './listings.ts'
import type { Desk } from './pillar.ts'

type TrailRequest = MessageOf<'GetAuditTrailsRequest'>

export function trails(desk: Desk) {
  const { store, world, stopping } = desk
  const running = new Map<string, Promise<void>>()
  let entriesDone = 0
  let walking: Promise<Chain[]> | undefined

  /** One walk at a time, shared by all who ask meanwhile: it reads the whole chain. */
  function walk(): Promise<Chain[]> {
    if (walking) return walking
    entriesDone = 0
    walking = store
      .verifyTrail({
        signal: stopping,
        walked: (entries) => {
          entriesDone = entries
        },
      })
      .finally(() => {
        walking = undefined
      })
    return walking
  }
  async function verified(request: TrailRequest): Promise<void> {
    const quiet = new AbortController()
    const reporting = report(request, quiet.signal)
    try {
      const chains = await walk()
      for (const { volume, brokenAt } of chains)
        if (brokenAt !== undefined)
          desk.alarm(
            'INTEGRITY_ISSUE',
            `the audit chain${volume === undefined ? '' : ` of volume ${volume}`} does not hold at entry ${brokenAt}`,
          )
      await answerTrail(desk, request, chains)
    } catch (error) {
      if (stopping.aborted) return
      world.log.error('trail.failed', { why: String(error) })
      await answerFailed(desk, request, error)
    } finally {
      quiet.abort()
      await reporting
    }
  }
  async function report(request: TrailRequest, quiet: AbortSignal): Promise<void> {
    for (;;) {
      await world.clock.sleep(limits.progressMs, quiet)
      if (quiet.aborted) return
      await progress(request)
    }
  }
  function progress(request: TrailRequest): Promise<void> {
    const type = 'GetAuditTrailsProgressResponse' as const
    const message = compose<typeof type>(world, desk.name, {
      type,
      ...answering(request, desk.name, 'OPERATION_PROGRESS'),
      entriesDone,
    })
    return desk.answer(request, message)
  }

  return {
    async ask(request: TrailRequest): Promise<void> {
      if (!request.verify) return answerTrail(desk, request)
      const key = keyOf(request)
      // Said again while we walk: a sign of life is the answer to that.
      if (running.has(key)) return progress(request)
      running.set(
        key,
        verified(request).finally(() => running.delete(key)),
      )
    },
    idle: async (): Promise<void> => void (await Promise.all(running.values())),
  }
}

async function answerTrail(
  desk: Desk,
  request: TrailRequest,
  chains?: readonly Chain[],
): Promise<void> {
  const { collection, fileId, after, minTimestamp, maxTimestamp } = request
  const { minSequenceNumber: minSequence, maxSequenceNumber: maxSequence } = request
  const page = await desk.store.auditTrail({
    collection,
    limit: Math.min(request.maxResults ?? limits.trailResultsMax, limits.trailResultsMax),
    ...(fileId === undefined ? {} : { id: fileId }),
    ...(after === undefined ? {} : { after }),
    ...(minSequence === undefined ? {} : { minSequence }),
    ...(maxSequence === undefined ? {} : { maxSequence }),
    ...(minTimestamp === undefined ? {} : { minAt: timeValue(minTimestamp) }),
    ...(maxTimestamp === undefined ? {} : { maxAt: timeValue(maxTimestamp) }),
  })
  const items = fitting(page.entries, itemOf)
  const end = page.entries[items.length - 1]
  const last = end?.cursor ?? end?.sequence
  const [chain] = chains ?? []
  const partialResult = page.partial || items.length < page.entries.length
  const type = 'GetAuditTrailsFinalResponse' as const
  await desk.answer(
    request,
    compose<typeof type>(desk.world, desk.name, {
      type,
      ...answering(request, desk.name, 'OPERATION_COMPLETED', desk.store.away?.()),
      items,
      partialResult,
      ...(last !== undefined && partialResult ? { after: last } : {}),
      ...(chain === undefined
        ? {}
        : chain.volume === undefined
          ? { chain }
          : { chains: [...(chains ?? [])] }),
    }),
  )
}

async function answerFailed(desk: Desk, request: TrailRequest, error: unknown): Promise<void> {
  const type = 'GetAuditTrailsFinalResponse' as const
  const why = error instanceof Error ? error.message : String(error)
  await desk.answer(
    request,
    compose<typeof type>(desk.world, desk.name, {
      type,
      ...answering(request, desk.name, 'FAILURE', why),
      items: [],
      partialResult: false,
    }),
  )
}

const itemOf = ({ id, at, collection: _, cursor: __, ...entry }: TrailEntry): TrailItem => ({
  ...entry,
  fileId: id,
  at: timeText(at),
})
