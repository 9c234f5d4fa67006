/**
 * Fragments were delivered: those that name this pillar are fetched by the engine of PutFile, compared, and stored for the
 * time being. The order is remembered durably, and gone on with after any restart; said again, it gets the same answer.
 */
import type { AcceptedRequest } from '../../index/index.ts'
import { limits } from '../../limits.ts'
import { keyOf, parse, substance } from '../../protocol/envelope.ts'
import { type Fragment, fragmentFileId, fragmentTime } from '../../protocol/fragments.ts'
import type { Message, MessageOf } from '../../protocol/messages.ts'
import { timeValue } from '../../protocol/scalars.ts'
import type { NewFile, Standing } from '../../store/store.ts'
import { digestOf } from '../../world/world.ts'
import type { FileResult, PutRequest } from '../put-run.ts'
import { type Reception, transfers } from '../reception.ts'
import { failed, obtained } from './applying.ts'
import { type Bureau, keeps } from './bureau.ts'

type Delivered = MessageOf<'FragmentDistributionDelivered'>

/** What has become of the fragments of one order: `reason` of those that could not be had. */
interface Outcome {
  readonly obtained: string[]
  readonly failed: { hash: string; reason: string }[]
}

/** One order while it goes on. */
interface Run {
  readonly substance: string
  readonly receptions: Map<string, Reception>
  ended: Promise<void>
}

export function arrivals(bureau: Bureau) {
  const { desk, promised } = bureau
  const running = new Map<string, Run>()
  const shared = transfers(desk)

  async function take(message: Delivered, line: string, signer: string): Promise<void> {
    const { collection } = message
    if (!keeps(desk, collection)) return
    const mine = message.fragments.filter(({ recipients }) => recipients.includes(desk.name))
    for (const one of message.fragments)
      if (!mine.includes(one)) promised.release(collection, one.hash)
    if (mine.length === 0) return
    const key = keyOf(message)
    const asked = digestOf(desk.world, substance(message))
    const run = running.get(key)
    if (run) {
      if (run.substance !== asked) return
      const signed = { request: asPut(message), signer }
      for (const reception of run.receptions.values()) reception.renew(signed)
      return
    }
    // Entered before anything is waited for: a repeat that comes meanwhile must find it.
    const fresh: Run = { substance: asked, receptions: new Map(), ended: Promise.resolve() }
    running.set(key, fresh)
    const known = await desk.store.answer(key)
    const late = timeValue(message.expiresAt) < desk.world.clock.now()
    if (known || late) {
      running.delete(key)
      if (known?.substance === asked) await tell(bureau, message, JSON.parse(known.answer))
      return
    }
    go(fresh, message, { key, substance: asked, request: line, signer })
  }
  function go(run: Run, message: Delivered, accepted: AcceptedRequest): void {
    running.set(accepted.key, run)
    run.ended = work(run, message, accepted)
      .catch((error) => desk.world.log.error('fragments.failed', { why: String(error) }))
      .finally(() => running.delete(accepted.key))
  }
  async function work(run: Run, message: Delivered, accepted: AcceptedRequest): Promise<void> {
    const { collection, fragments } = message
    const mine = fragments.filter(({ recipients }) => recipients.includes(desk.name))
    const { files, standings, refused } = await accept(bureau, message, mine, accepted)
    const outcome: Outcome = { obtained: [], failed: [] }
    const signed = { request: asPut(message), signer: accepted.signer }
    for (const [n, one] of mine.entries()) {
      const file = files[n]
      const standing = standings[n]
      promised.release(collection, one.hash)
      if (standing?.is === 'held') outcome.obtained.push(one.hash)
      else if (file && standing?.is === 'welcome')
        run.receptions.set(one.hash, shared.join(file, signed, fragments.indexOf(one)))
      else outcome.failed.push({ hash: one.hash, reason: refused ?? whyNot(standing) })
    }
    const all = [...run.receptions].map(async ([hash, reception]) => {
      const result = await reception.ended
      if (result.code === 'OPERATION_COMPLETED') outcome.obtained.push(hash)
      else outcome.failed.push({ hash, reason: reasonOf(result) })
    })
    await Promise.all(all)
    shared.leave(files)
    // Stopped in the middle: the next start goes on.
    if (!desk.stopping.aborted) await conclude(bureau, message, accepted, outcome)
  }
  return {
    take,
    /** Goes on with what was accepted before the last end. */
    async resume(all: readonly AcceptedRequest[]): Promise<void> {
      for (const accepted of all) {
        const parsed = parse(new TextEncoder().encode(accepted.request))
        if (parsed.is !== 'message' || !isDelivered(parsed.message)) continue
        const run = {
          substance: accepted.substance,
          receptions: new Map(),
          ended: Promise.resolve(),
        }
        go(run, parsed.message, accepted)
      }
    },
    idle: async (): Promise<void> =>
      void (await Promise.all([...running.values()].map((run) => run.ended))),
  }
}

const isDelivered = (message: Message): message is Delivered =>
  message.type === 'FragmentDistributionDelivered'

/** Reserves room for good, and remembers the order; `refused` when the volume takes nothing. */
async function accept(
  { desk, notes }: Bureau,
  { collection, conversation, epoch }: Delivered,
  mine: readonly Fragment[],
  accepted: AcceptedRequest,
): Promise<{ files: NewFile[]; standings: Standing[]; refused?: string }> {
  const files = mine.map((one) => rowOf(collection, one))
  const ids = files.map(({ id }) => id)
  const rows = await desk.store.stored(collection, ids)
  // First: what is stored without such a note is kept for good.
  const absent = mine.filter((_, n) => rows[n] === undefined)
  await notes.noteTemporary(collection, absent, { distribution: conversation, epoch })
  try {
    return { files, standings: await desk.store.accept(accepted, files) }
  } catch (error) {
    const refused = error instanceof Error ? error.message : 'the volume takes no writes'
    return { files, standings: [], refused }
  }
}

const rowOf = (collection: string, fragment: Fragment): NewFile => ({
  collection,
  id: fragmentFileId(fragment),
  size: fragment.size,
  checksum: fragment.hash,
  mtime: timeValue(fragmentTime),
})

/** The same as the request that the engine of PutFile knows; nobody answers it. */
const asPut = (message: Delivered): PutRequest => ({
  ...message,
  type: 'PutFileRequest',
  replyTo: '',
  files: message.fragments.map((one) => ({
    id: fragmentFileId(one),
    size: one.size,
    checksum: one.hash,
    mtime: fragmentTime,
  })),
})

function whyNot(standing: Standing | undefined): string {
  if (standing?.is === 'noSpace') return `no room: ${standing.bytesFree} bytes may be promised`
  return standing?.is === 'conflict'
    ? `${standing.with} stands in the way`
    : 'other bytes are stored or on their way under this hash'
}

const reasonOf = ({ code, text }: FileResult): string => text ?? code

async function conclude(
  bureau: Bureau,
  message: Delivered,
  { key, substance: asked }: AcceptedRequest,
  outcome: Outcome,
): Promise<void> {
  const { desk, notes } = bureau
  const lost = new Set(outcome.failed.map(({ hash }) => hash))
  const gone = message.fragments.filter(({ hash }) => lost.has(hash))
  if (gone.length > 0) await notes.drop(message.collection, gone)
  const keepUntil = timeValue(message.expiresAt) + limits.skewMs
  const answer = { substance: asked, answer: JSON.stringify(outcome), keepUntil }
  try {
    await desk.store.conclude([{ do: 'answer', key, answer }])
  } catch (error) {
    // Said again, it is found here.
    desk.world.log.error('fragments.answerNotKept', { key, why: String(error) })
  }
  await tell(bureau, message, outcome)
}

async function tell(bureau: Bureau, message: Delivered, outcome: Outcome): Promise<void> {
  await obtained(bureau, message, 'temporary', outcome.obtained)
  await failed(
    bureau,
    message,
    outcome.failed.map(({ hash, reason }) => ({ hash, reason: reason.slice(0, 200) })),
  )
}
