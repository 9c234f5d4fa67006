/**
 * One batch of owed files on its way: holders deliver to our spool, the pillar that is owed fetches from there, both by
 * our tokens. A holder that can not deliver a file, because its bytes are damaged or gone, is followed by the next one.
 */
import type { Client } from '../client/client.ts'
import type { Party } from '../client/conversation.ts'
import { identify } from '../client/identify.ts'
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { Transmission } from '../protocol/parts.ts'
import { objectName } from '../transfer/objects.ts'
import { issueToken } from '../transfer/token.ts'
import type { Debt } from './ledger.ts'
import type { Refusals } from './refusals.ts'

/** Debts of one collection to one pillar. */
export interface Delivery {
  readonly client: Client
  readonly collection: string
  readonly pillar: string
  readonly refusals: Refusals
  readonly signal: AbortSignal
}

/** How long the receiver has to take what was delivered, when something else of the batch can not be. */
const lingerMs = 60_000

/** Delivers one batch; the debts that are settled. */
export async function deliver(delivery: Delivery, batch: readonly Debt[]): Promise<Debt[]> {
  const { has, wants, other } = await standing(delivery, batch)
  for (const debt of other)
    delivery.client.world.log.error('owed.refused', {
      pillar: delivery.pillar,
      id: debt.file.id,
      why: 'it has other bytes under this id, or on their way',
    })
  const stored = wants.length > 0 ? await passThrough(delivery, wants) : []
  const rest = wants.filter((debt) => !stored.includes(debt))
  // Not waited for to the end: what has come all the same is there.
  const late =
    rest.length > 0 && !delivery.signal.aborted ? await standing(delivery, rest) : undefined
  const settled = [...has, ...stored, ...(late?.has ?? [])]
  delivery.refusals.forget(settled)
  return settled
}

interface Standing {
  /** It has them, or has deleted them since. */
  readonly has: Debt[]
  readonly wants: Debt[]
  /** It has other bytes under the id, or on their way: if it stays so, that is for people to decide. */
  readonly other: Debt[]
}

/** Asks the pillar itself first: much may have come to it in another way, or not be wanted any more. */
async function standing(
  { client, collection, pillar, signal }: Delivery,
  batch: readonly Debt[],
): Promise<Standing> {
  const { world, name, line } = client
  const request = compose<'IdentifyPillarsForPutFileRequest'>(world, name, {
    type: 'IdentifyPillarsForPutFileRequest',
    conversation: uuid7(world),
    collection,
    replyTo: line.replyTo,
    to: [pillar],
    expiresAt: expiryText(world, limits.identifyExpiryMs),
    files: batch.map((debt) => debt.file),
  })
  const answer = (await identify(client, request, [pillar], signal)).get(pillar)
  if (answer?.type !== 'IdentifyPillarsForPutFileResponse') return { has: [], wants: [], other: [] }
  const codeOf = (debt: Debt) => answer.files.find((file) => file.id === debt.file.id)?.code
  const having = (code: string): Debt[] => batch.filter((debt) => codeOf(debt) === code)
  return {
    // What was deleted there since is not owed any more.
    has: [...having('OPERATION_COMPLETED'), ...having('FILE_NOT_FOUND_FAILURE')],
    wants: having('IDENTIFICATION_POSITIVE'),
    other: having('DUPLICATE_FILE_FAILURE'),
  }
}

/** Who might deliver: those that had it when it was said, then all others that are there, and save no power. */
export function holdersOf({ line, directory }: Client, debt: Debt): string[] {
  const { pillars = [] } = directory.collection(debt.collection) ?? {}
  const all = [...new Set([...debt.holders, ...pillars])]
  return all.filter(
    (one) =>
      one !== debt.pillar &&
      line.presence(one) === 'online' &&
      !line.isSaving(one) &&
      line.keepsFiles(one),
  )
}

async function passThrough(delivery: Delivery, debts: readonly Debt[]): Promise<Debt[]> {
  const { client, refusals, signal } = delivery
  const [first] = debts
  const holders = first ? holdersOf(client, first) : []
  if (holders.length === 0) return []
  // The same until the end, whoever refuses meanwhile.
  const names = new Map(debts.map((debt) => [debt, nameOf(delivery, debt)]))
  const putting = startPut(delivery, debts, names)
  let left = debts
  /** Who delivered what; nobody when more than one had begun it. */
  const by = new Map<Debt, string>()
  const mixed = new Set<Debt>()
  for (const holder of holders) {
    const some = left.filter((debt) => !refusals.has(debt, holder))
    if (some.length === 0 || putting.over.aborted) continue
    const either = AbortSignal.any([signal, putting.over])
    const told = await fetchFrom(delivery, holder, some, names, either)
    for (const [debt, is] of told) {
      if (is === 'delivered') by.set(debt, holder)
      if (is === 'refused') refusals.add(debt, holder)
      if (is !== 'delivered') mixed.add(debt)
    }
    left = left.filter((debt) => !by.has(debt))
  }
  if (left.length > 0) await putting.taken(debts.length - left.length)
  const party = await putting.ended
  for (const debt of debts) {
    if (codeIn(party, debt) !== 'NEW_FILE_CHECKSUM_FAILURE') continue
    const holder = by.get(debt)
    refusals.spoil(debt)
    // With a beginning from another disk its own bytes may be right.
    if (holder && !mixed.has(debt)) refusals.add(debt, holder)
  }
  return debts.filter((debt) => codeIn(party, debt) === 'OPERATION_COMPLETED')
}

/** Of the objects at our spool. */
type Names = ReadonlyMap<Debt, string>

const nameOf = ({ client, collection, pillar, refusals }: Delivery, debt: Debt): string => {
  const { id, size, checksum } = debt.file
  const turn = refusals.turn(debt)
  return objectName(client.world, 'owed', collection, id, size, checksum, pillar, turn)
}

interface Putting {
  /** Its final answer; undefined when we have stopped waiting. */
  readonly ended: Promise<Party | undefined>
  /** Aborted when it has ended. */
  readonly over: AbortSignal
  /** Waits until the receiver has taken so many files, and no longer for the rest. */
  taken(files: number): Promise<void>
}

/** Asks the receiver to fetch them all; it waits at our spool until they come. */
function startPut(delivery: Delivery, debts: readonly Debt[], names: Names): Putting {
  const { client, pillar, signal } = delivery
  const { world, line, topics } = client
  const over = new AbortController()
  const enough = new AbortController()
  let filesDone = 0
  let moved = (): void => undefined
  const request = compose<'PutFileRequest'>(world, client.name, {
    type: 'PutFileRequest',
    ...conversation(delivery),
    to: [pillar],
    files: debts.map((debt) => debt.file),
    transmission: transmission(delivery, { dir: 'down', hld: [pillar] }, debts, names),
  })
  const ended = line
    .ask({
      ...patience(client),
      request,
      parties: [pillar],
      topic: topics.pillarRequests(pillar),
      signal: AbortSignal.any([signal, enough.signal]),
      progress(answer) {
        if (answer.type === 'PutFileProgressResponse') filesDone = answer.filesDone
        moved()
      },
    })
    .then((parties) => parties.get(pillar))
    .catch(() => undefined)
    .finally(() => over.abort())
  return {
    ended,
    over: over.signal,
    async taken(files) {
      const until = world.clock.monotonic() + lingerMs
      while (filesDone < files && !over.signal.aborted && world.clock.monotonic() < until) {
        const news = new AbortController()
        moved = () => news.abort()
        await world.clock.sleep(
          until - world.clock.monotonic(),
          AbortSignal.any([over.signal, news.signal]),
        )
      }
      enough.abort()
    },
  }
}

/** What a holder says of each file; all have failed when it is silent. */
async function fetchFrom(
  delivery: Delivery,
  holder: string,
  debts: readonly Debt[],
  names: Names,
  signal: AbortSignal,
): Promise<Map<Debt, 'delivered' | 'refused' | 'failed'>> {
  const { client } = delivery
  const request = compose<'GetFileRequest'>(client.world, client.name, {
    type: 'GetFileRequest',
    ...conversation(delivery),
    to: [holder],
    files: debts.map(({ file: { id, checksum } }) => ({ id, checksum })),
    transmission: transmission(delivery, { dir: 'up', hld: [holder] }, debts, names),
  })
  const parties = await client.line
    .ask({
      ...patience(client),
      request,
      parties: [holder],
      topic: client.topics.pillarRequests(holder),
      signal,
    })
    .catch(() => undefined)
  const party = parties?.get(holder)
  return new Map(debts.map((debt) => [debt, said(codeIn(party, debt))] as const))
}

function said(code: string | undefined): 'delivered' | 'refused' | 'failed' {
  if (code === 'OPERATION_COMPLETED') return 'delivered'
  // A link that breaks says nothing about the bytes behind it.
  return code === undefined || code === 'FILE_TRANSFER_FAILURE' ? 'failed' : 'refused'
}

function codeIn(party: Party | undefined, { file: { id } }: Debt): string | undefined {
  if (party?.at !== 'answered') return undefined
  const { answer } = party
  if (answer.type !== 'PutFileFinalResponse' && answer.type !== 'GetFileFinalResponse')
    return undefined
  return answer.files.find((file) => file.id === id)?.code
}

const patience = ({ topics, idleMs }: Client) => ({
  topicOf: topics.pillarRequests,
  idleMs,
  offlineMs: limits.identifyMs,
})

const conversation = ({ client: { world, line }, collection }: Delivery) => ({
  conversation: uuid7(world),
  collection,
  replyTo: line.replyTo,
  expiresAt: expiryText(world, limits.performExpiryMs),
})

function transmission(
  { client: { world, name, signer, directory } }: Delivery,
  claims: { dir: 'up' | 'down'; hld: string[] },
  debts: readonly Debt[],
  names: Names,
): Transmission {
  const exchanges = directory.document().exchanges.filter((one) => one.identity === name)
  const exp = Math.floor((world.clock.now() + limits.performExpiryMs) / 1000)
  const obj = debts.map((debt): [string, number] => [names.get(debt) ?? '', debt.file.size])
  return { exchanges, token: issueToken(signer, { ...claims, obj, iss: name, aud: [name], exp }) }
}
