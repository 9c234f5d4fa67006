/**
 * Surplus copies: gives nonces, confirms to others what is here after reading all of it, and trims what was confirmed to
 * it. What is trimmed is kept aside for a while, as what is deleted. Safe whatever trackers say, and however many there are:
 * who has confirmed a fragment does not trim it for as long as its word may be used.
 */
import type { StoredFile } from '../../index/index.ts'
import { limits } from '../../limits.ts'
import { answering, compose } from '../../post/compose.ts'
import type { ResponseCode } from '../../protocol/codes.ts'
import {
  type Confirmation,
  openConfirmation,
  sealConfirmation,
} from '../../protocol/confirmation.ts'
import { keyOf, substance } from '../../protocol/envelope.ts'
import { fragmentFileId } from '../../protocol/fragments.ts'
import type { MessageOf } from '../../protocol/messages.ts'
import { timeText } from '../../protocol/scalars.ts'
import { lock } from '../../world/lock.ts'
import { digestOf } from '../../world/world.ts'
import { findings } from '../findings.ts'
import type { Desk } from '../pillar.ts'
import { proving } from '../prove-held.ts'
import { recent } from '../recent.ts'
import { type Bureau, keeps } from './bureau.ts'
import { judge, type TrimOrder, type TrimVerdict } from './trim-judgement.ts'

type Prepare = MessageOf<'PrepareTrimRequest'>
type Confirm = MessageOf<'ConfirmFragmentsRequest'>
type Trim = MessageOf<'TrimFragmentsRequest'>
type Named = Prepare['fragments'][number]
type Confirmed = MessageOf<'ConfirmFragmentsFinalResponse'>

const rememberedMax = 256
const keepAnswerMs = 24 * 3_600_000

export function trimming(bureau: Bureau) {
  const { desk, nonces } = bureau
  const reading = lock()
  const running = new Map<string, Promise<void>>()
  const confirmed = recent<Confirmed>(rememberedMax)

  async function prepare(request: Prepare): Promise<void> {
    const { collection } = request
    const standings = await standingsOf(bureau, collection, request.fragments)
    const here = standings.filter(({ is }) => is === 'persisted').map(({ id }) => id)
    const absent = standings.filter(({ is }) => is !== 'persisted').map(({ id }) => id)
    const answer = compose<'PrepareTrimFinalResponse'>(desk.world, desk.name, {
      type: 'PrepareTrimFinalResponse',
      ...answering(request, desk.name, 'OPERATION_COMPLETED'),
      ...(here.length > 0 ? { nonce: nonces.give(collection, here) } : {}),
      absent,
    })
    await desk.answer(request, answer)
  }
  /** In its turn it is only vowed; read is afterwards, beside everything else. */
  async function confirm(request: Confirm, signer: string): Promise<void> {
    const key = keyOf(request)
    const known = confirmed.get(key)
    if (known) return desk.answer(request, known)
    if (running.has(key) || request.holder === desk.name) return
    const standings = await standingsOf(bureau, request.collection, request.fragments)
    const rows = standings.flatMap(({ is, row }) => (is === 'persisted' && row ? [row] : []))
    await bureau.vows.make(
      request.collection,
      rows.map(({ id }) => id),
    )
    const ended = reading(() => proven(desk, request, signer, rows))
      .then(async (right) => {
        if (desk.stopping.aborted) return
        const answer = confirmationOf(desk, request, right)
        confirmed.set(key, answer)
        await desk.answer(request, answer)
      })
      .catch((error) => desk.world.log.error('trim.notConfirmed', { why: String(error) }))
      .finally(() => running.delete(key))
    running.set(key, ended)
  }
  async function trim(request: Trim, signer: string): Promise<void> {
    const key = keyOf(request)
    const asked = digestOf(desk.world, substance(request))
    const answered = await desk.store.answer(key)
    if (answered && answered.substance !== asked) return
    const now = desk.world.clock.now()
    if (answered) {
      const final = JSON.parse(answered.answer) as MessageOf<'TrimFragmentsFinalResponse'>
      return desk.answer(request, { ...final, sentAt: timeText(now) })
    }
    const files = await trimAll(bureau, request, signer)
    const final = compose<'TrimFragmentsFinalResponse'>(desk.world, desk.name, {
      type: 'TrimFragmentsFinalResponse',
      ...answering(request, desk.name, 'OPERATION_COMPLETED'),
      files,
    })
    const answer = {
      substance: asked,
      answer: JSON.stringify(final),
      keepUntil: now + keepAnswerMs,
    }
    try {
      await desk.store.conclude([{ do: 'answer', key, answer }])
    } catch (error) {
      // Said again, they are found gone.
      desk.world.log.error('trim.answerNotKept', { key, why: String(error) })
    }
    await desk.answer(request, final)
  }
  return {
    /** In the order in which it was said, among all that the tracker says of fragments. */
    async hear(request: Prepare | Confirm | Trim, signer: string): Promise<void> {
      if (!request.to?.includes(desk.name) || !keeps(desk, request.collection)) return
      if (request.type === 'PrepareTrimRequest') return prepare(request)
      if (request.type === 'ConfirmFragmentsRequest') return confirm(request, signer)
      return trim(request, signer)
    },
    idle: async (): Promise<void> => void (await Promise.all(running.values())),
  }
}

interface Standing {
  readonly id: string
  readonly kind: Named['kind']
  readonly is: 'persisted' | 'temporary' | 'absent'
  readonly row: StoredFile | undefined
}

async function standingsOf(
  { desk, notes }: Bureau,
  collection: string,
  fragments: readonly Named[],
): Promise<Standing[]> {
  const rows = await desk.store.stored(collection, fragments.map(fragmentFileId))
  return Promise.all(
    fragments.map(async (one, n): Promise<Standing> => {
      const row = rows[n]
      const about = { id: fragmentFileId(one), kind: one.kind, row }
      if (!row) return { ...about, is: 'absent' }
      const isTemporary = (await notes.temporary(collection, one)) !== undefined
      return { ...about, is: isTemporary ? 'temporary' : 'persisted' }
    }),
  )
}

/** Ids of those whose bytes were read from the medium just now, and were right. */
async function proven(
  desk: Desk,
  request: Confirm,
  signer: string,
  rows: readonly StoredFile[],
): Promise<string[]> {
  const { clock } = desk.world
  const seen = findings(desk, request, signer)
  const right: string[] = []
  let [bytesDone, told] = [0, clock.monotonic()]
  for (const row of rows) {
    if (desk.stopping.aborted) break
    const { code } = await proving(desk, row, seen, (task) => task(), desk.store.readMedium).ended
    if (code === 'OPERATION_COMPLETED') right.push(row.id)
    bytesDone += row.size
    if (clock.monotonic() - told < limits.progressMs) continue
    told = clock.monotonic()
    const progress = compose<'ConfirmFragmentsProgressResponse'>(desk.world, desk.name, {
      type: 'ConfirmFragmentsProgressResponse',
      ...answering(request, desk.name, 'OPERATION_PROGRESS'),
      bytesDone,
    })
    await desk.answer(request, progress)
  }
  await seen.note()
  return right
}

function confirmationOf(desk: Desk, request: Confirm, right: readonly string[]): Confirmed {
  const { collection, holder, nonce } = request
  const ids = request.fragments.map(fragmentFileId)
  const statement: Confirmation = {
    ...{ type: 'FragmentsConfirmed', from: desk.name, holder, nonce, collection },
    files: [...right],
  }
  return compose<'ConfirmFragmentsFinalResponse'>(desk.world, desk.name, {
    type: 'ConfirmFragmentsFinalResponse',
    ...answering(request, desk.name, 'OPERATION_COMPLETED'),
    ...(right.length > 0 ? { confirmation: sealConfirmation(statement, desk.signer) } : {}),
    absent: ids.filter((id) => !right.includes(id)),
  })
}

type FileResult = MessageOf<'TrimFragmentsFinalResponse'>['files'][number]

async function trimAll(bureau: Bureau, request: Trim, signer: string): Promise<FileResult[]> {
  const { desk, nonces, vows } = bureau
  const { collection, nonce, unwanted } = request
  const policy = desk.directory.collection(collection)
  const copies = policy?.fragments?.copies ?? Number.POSITIVE_INFINITY
  const order: TrimOrder = {
    ...{ me: desk.name, collection, nonce, unwanted },
    confirmations: request.confirmations.flatMap((sealed) => {
      const one = openConfirmation(sealed, desk.directory, desk.keys)
      const keepsIt = one !== undefined && policy?.pillars.includes(one.from)
      return keepsIt && desk.directory.identity(one.from)?.kind !== 'checksum' ? [one] : []
    }),
  }
  const judged: (Standing & { verdict: TrimVerdict })[] = []
  for (const standing of await standingsOf(bureau, collection, request.fragments)) {
    const { id, kind, is } = standing
    const verdict = judge(order, {
      ...{ id, is, needed: kind === 'info' ? copies + 1 : copies },
      isVowed: await vows.binds(collection, id),
      isFresh: nonces.isGood(nonce, collection, id),
    })
    judged.push({ ...standing, verdict })
  }
  const beyond = unwanted ? await countedOut(bureau, request, judged) : new Map<string, string>()
  const files: FileResult[] = []
  for (const { id, row, verdict } of judged) {
    const why = beyond.get(id)
    files.push(
      why === undefined
        ? await done(bureau, request, signer, verdict, { id, row })
        : { id, code: 'FAILURE', text: why },
    )
  }
  return files
}

/**
 * That nobody needs them only the tracker says: counts what would go, before it does. Those that are too many, and why. Of
 * what others have confirmed that they have it, nothing is counted.
 */
async function countedOut(
  { desk }: Bureau,
  { from, collection }: Trim,
  judged: readonly (Standing & { readonly verdict: TrimVerdict })[],
): Promise<Map<string, string>> {
  const going = judged.filter(({ verdict }) => verdict.is === 'trim').map(({ id }) => id)
  const wish = { by: from, collection, files: going.length, kind: 'drop' as const }
  const { granted, why = '' } = await desk.floors.spend(wish)
  return new Map(going.slice(granted).map((id) => [id, why]))
}

async function done(
  { desk, notes, nonces }: Bureau,
  { collection, from: actor, conversation, fragments }: Trim,
  key: string,
  verdict: TrimVerdict,
  { id, row }: Pick<Standing, 'id' | 'row'>,
): Promise<FileResult> {
  const failed = (code: ResponseCode, text: string): FileResult => ({ id, code, text })
  if (verdict.is === 'refused') {
    desk.world.log.warn('trim.refused', { collection, id, why: verdict.why })
    return failed('FAILURE', verdict.why)
  }
  if (verdict.is === 'absent' || !row) return failed('FILE_NOT_FOUND_FAILURE', 'it is not here')
  try {
    const [version] = await desk.store.versions(collection, [id])
    const { checksum } = row
    const by = { actor, conversation, key, information: 'surplus copy' }
    const outcome =
      version === undefined
        ? 'absent'
        : await desk.store.remove({ collection, id, checksum, version }, by)
    if (outcome !== 'removed') return failed('FAILURE', `it could not be removed: ${outcome}`)
    nonces.void(collection, [id])
    await notes.release(
      collection,
      fragments.filter((one) => fragmentFileId(one) === id),
    )
    return { id, code: 'OPERATION_COMPLETED' }
  } catch (error) {
    return failed('FAILURE', error instanceof Error ? error.message : String(error))
  }
}
