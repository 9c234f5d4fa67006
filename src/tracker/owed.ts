/**
 * Owed copies: when a pillar returns, it is reminded of what it missed. A holder delivers to our spool, the returning
 * pillar fetches from there, both by our tokens; the client that put the files may be off.
 */
import type { Client } from '../client/client.ts'
import type { Party } from '../client/conversation.ts'
import { identify } from '../client/identify.ts'
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { Transmission } from '../protocol/parts.ts'
import { objectName } from '../transfer/objects.ts'
import { issueToken } from '../transfer/token.ts'
import { lock } from '../world/lock.ts'
import type { Debt, Ledger } from './ledger.ts'

export interface Owed {
  /** This pillar is there, or is owed something new. */
  remind(pillar: string): void
  idle(): Promise<void>
}

/** While something is owed to a pillar that is there, it is tried again: after so long at first, and at most. */
const againMsMin = 10_000
const againMsMax = 10 * 60_000

/** What goes on for one pillar. */
interface Course {
  /** Aborted by a new reminder: no pause is waited out then. */
  again: AbortController
  ended: Promise<void>
}

export function owedCopies(client: Client, ledger: Ledger, signal: AbortSignal): Owed {
  const { world, line } = client
  const courses = new Map<string, Course>()
  const one = lock()

  async function work(pillar: string, course: Course): Promise<void> {
    let pauseMs = againMsMin
    for (;;) {
      // One delivery at a time: this is background work on a link that others need.
      await one(() => deliverAll(pillar)).catch((error) =>
        world.log.warn('owed.failed', { pillar, why: String(error) }),
      )
      const left = await ledger.of(pillar)
      const reminded = course.again.signal.aborted
      if (signal.aborted) break
      if (!reminded && (left.length === 0 || line.presence(pillar) !== 'online')) break
      await world.clock.sleep(pauseMs, AbortSignal.any([signal, course.again.signal]))
      pauseMs = reminded ? againMsMin : Math.min(pauseMs * 2, againMsMax)
      course.again = new AbortController()
    }
    courses.delete(pillar)
  }
  async function deliverAll(pillar: string): Promise<void> {
    for (const batch of batches(await ledger.of(pillar))) {
      if (signal.aborted || line.presence(pillar) !== 'online') return
      const settled = await deliver(client, pillar, batch, signal)
      await ledger.settle(settled)
      world.log.info('owed.delivered', { pillar, files: settled.length, of: batch.length })
    }
  }
  return {
    remind(pillar) {
      const known = courses.get(pillar)
      if (known) return known.again.abort()
      const course: Course = { again: new AbortController(), ended: Promise.resolve() }
      courses.set(pillar, course)
      course.ended = work(pillar, course)
    },
    idle: async () => void (await Promise.all([...courses.values()].map((course) => course.ended))),
  }
}

/** Debts of one collection with the same holders, as many as one request takes. */
export function batches(debts: readonly Debt[]): Debt[][] {
  const open = new Map<string, { bytes: number; debts: Debt[] }>()
  const full: Debt[][] = []
  for (const debt of debts) {
    const key = JSON.stringify([debt.collection, debt.holders])
    const batch = open.get(key) ?? { bytes: 0, debts: [] }
    batch.debts.push(debt)
    batch.bytes += debt.file.size
    open.set(key, batch)
    if (batch.debts.length >= limits.batchFilesMax / 2 || batch.bytes >= limits.batchBytesMax) {
      full.push(batch.debts)
      open.delete(key)
    }
  }
  return [...full, ...[...open.values()].map((batch) => batch.debts)]
}

/** Delivers one batch; the debts that are settled. */
async function deliver(
  client: Client,
  pillar: string,
  batch: readonly Debt[],
  signal: AbortSignal,
): Promise<Debt[]> {
  const collection = batch[0]?.collection ?? ''
  const { has, wants, other } = await standing(client, collection, pillar, batch, signal)
  for (const debt of other)
    client.world.log.error('owed.refused', {
      pillar,
      id: debt.file.id,
      why: 'it has other bytes under this id, or on their way',
    })
  if (wants.length === 0) return has
  for (const holder of holdersOf(client, collection, pillar, batch)) {
    const files = await passThrough(client, collection, { from: holder, to: pillar }, wants, signal)
    if (files.length > 0) return [...has, ...files]
  }
  return has
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
  client: Client,
  collection: string,
  pillar: string,
  batch: readonly Debt[],
  signal: AbortSignal,
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

function holdersOf(
  { line, policy }: Client,
  collection: string,
  pillar: string,
  batch: readonly Debt[],
): string[] {
  const named = batch[0]?.holders ?? []
  const all = [...new Set([...named, ...policy(collection).pillars])]
  return all.filter(
    (one) => one !== pillar && line.presence(one) === 'online' && line.keepsFiles(one),
  )
}

async function passThrough(
  client: Client,
  collection: string,
  way: { from: string; to: string },
  debts: readonly Debt[],
  signal: AbortSignal,
): Promise<Debt[]> {
  const { world, name, line, topics } = client
  const files = debts.map((debt) => debt.file)
  const names = files.map((file) =>
    objectName(world, 'owed', collection, file.id, file.size, file.checksum, way.to),
  )
  const obj = files.map((file, n): [string, number] => [names[n] ?? '', file.size])
  const conversation = () => ({
    conversation: uuid7(world),
    collection,
    replyTo: line.replyTo,
    expiresAt: expiryText(world, limits.performExpiryMs),
  })
  const common = {
    topicOf: topics.pillarRequests,
    idleMs: client.idleMs,
    offlineMs: limits.identifyMs,
  }
  const put = compose<'PutFileRequest'>(world, name, {
    type: 'PutFileRequest',
    ...conversation(),
    to: [way.to],
    files,
    transmission: transmission(client, { dir: 'down', hld: [way.to], obj }),
  })
  const wanted = files.map(({ id, checksum }) => ({ id, checksum }))
  const get = compose<'GetFileRequest'>(world, name, {
    type: 'GetFileRequest',
    ...conversation(),
    to: [way.from],
    files: wanted,
    transmission: transmission(client, { dir: 'up', hld: [way.from], obj }),
  })
  const done = new AbortController()
  const fetching = line
    .ask({
      ...common,
      request: get,
      parties: [way.from],
      topic: topics.pillarRequests(way.from),
      signal: AbortSignal.any([signal, done.signal]),
    })
    .catch(() => undefined)
  try {
    const parties = await line.ask({
      ...common,
      request: put,
      parties: [way.to],
      topic: topics.pillarRequests(way.to),
      signal,
    })
    return debts.filter((debt) => isStored(parties.get(way.to), debt.file.id))
  } finally {
    done.abort()
    await fetching
  }
}

function isStored(party: Party | undefined, id: string): boolean {
  if (party?.at !== 'answered' || party.answer.type !== 'PutFileFinalResponse') return false
  return party.answer.files.some((file) => file.id === id && file.code === 'OPERATION_COMPLETED')
}

function transmission(
  { world, name, signer, directory }: Client,
  claims: { dir: 'up' | 'down'; hld: string[]; obj: [string, number][] },
): Transmission {
  const exchanges = directory.document().exchanges.filter((one) => one.identity === name)
  const exp = Math.floor((world.clock.now() + limits.performExpiryMs) / 1000)
  return { exchanges, token: issueToken(signer, { ...claims, iss: name, aud: [name], exp }) }
}
