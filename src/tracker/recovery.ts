/**
 * The part of the recovery kit that changes: sealed, kept by every pillar, and taken from them again by a tracker that was
 * restored. Such a tracker signs nothing, and confirms no document, before every pillar that counts has told what it has.
 */
import type { ArchiveDocument } from '../protocol/document.ts'
import { parseRecoveryPart, type RecoveryPart } from '../protocol/recovery.ts'
import {
  documentHeader,
  partBytesMax,
  partTag,
  partVersion,
  recoveringHeader,
  recoveryPath,
} from '../protocol/safekeeping.ts'
import { timeText } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import type { Request, Response, Serve } from '../transfer/transfer.ts'
import type { Directory } from '../trust/directory.ts'
import type { PublicKey, Sealing } from '../trust/trust.ts'
import { lock } from '../world/lock.ts'
import { digestOf, type World } from '../world/world.ts'
import type { Words } from './words.ts'

/** What the program gives for it. */
export interface RecoveryParts {
  readonly sealing: Sealing
  /** Codes that were given out and may still be used. */
  invitations(): RecoveryPart['invitations']
  takeInvitations(invitations: RecoveryPart['invitations']): void
  /** All is known again: the owner signs the next document, when his key is here; resolves once it is known. */
  over(change: (document: ArchiveDocument) => ArchiveDocument): Promise<void>
  /** The archive has another tracker: this one is to end. */
  replaced?(): void
}

export interface RecoveryGround extends RecoveryParts {
  readonly world: World
  readonly state: State
  readonly directory: Directory
  readonly words: Words
  /** Of our epoch; 0 while there is none. */
  epoch(): number
  /** Everybody is to hear that there is something newer. */
  changed(): void
  /** There is a newer document, to be found at the next start. */
  keep(): void
}

export interface Recovery {
  /** What pillars are to keep: 0 for nothing. */
  version(): number
  /** Seals anew, when there is something new. */
  renew(): Promise<void>
  /** Whether somebody of whom the document does not know is let in, to give what he has. */
  guest(name: string, key: PublicKey): boolean
  /** Before the exchange: answers what is about recovery, and shuts out guests from the rest. */
  over(serve: Serve): Serve
  /** Pillars that have not come back yet; undefined when nothing is being recovered. */
  missing(): string[] | undefined
  /** It may be over: a pillar counts no more. */
  look(): Promise<void>
}

/** Set by `restore`: names of pillars that have come, as JSON. */
export const recoveringKey = 'recovering'
const reignKey = 'reign'
const versionKey = 'recovery-version'
const partKey = 'recovery-part'
const digestKey = 'recovery-digest'
/** An epoch that is above those of the tracker before, however often it was started meanwhile. */
const epochKey = 'epoch-floor'
export const epochFloor = async (state: State): Promise<number> =>
  Number((await state.get(epochKey)) ?? 0)
const epochAhead = 1_000

export async function openRecovery(ground: RecoveryGround): Promise<Recovery> {
  const { state, directory, words } = ground
  const one = lock()
  const numberOf = async (key: string): Promise<number> => Number((await state.get(key)) ?? 0)
  const noted = await state.get(recoveringKey)
  const at: Standing = {
    version: await numberOf(versionKey),
    reign: await numberOf(reignKey),
    came: noted === undefined ? undefined : new Set(JSON.parse(noted) as string[]),
  }
  const missing = (): string[] | undefined =>
    at.came &&
    directory
      .document()
      .identities.flatMap(({ name, role }) => (role === 'pillar' ? [name] : []))
      .filter((name) => !at.came?.has(name) && words.of(name) !== 'lost')
  const replaced = (): void => {
    const { reign = 0 } = directory.document()
    if (at.came || reign <= at.reign) return
    ground.world.log.error('tracker.replaced', { reign })
    ground.replaced?.()
  }
  const look = async (): Promise<void> => {
    if (at.came && at.came.size > 0 && missing()?.length === 0) await finish(ground, at)
  }
  directory.watch(replaced)
  replaced()
  const desk: Desk = {
    directory,
    isRecovering: () => at.came !== undefined,
    wants: (peer) => at.came?.has(peer) === false,
    version: () => at.version,
    part: () => state.get(partKey),
    take: (sealed) => one(() => take(ground, at, sealed)),
    arrived: (peer) =>
      one(async () => {
        if (!at.came) return
        at.came.add(peer)
        await state.change([[recoveringKey, JSON.stringify([...at.came])]])
        ground.world.log.info('recovery.heard', { pillar: peer, missing: missing() })
        await look()
      }),
  }
  return {
    version: () => (at.came ? 0 : at.version),
    renew: () => one(() => renew(ground, at)),
    guest: (name, key) => at.came !== undefined && !directory.revoked(name, key),
    over: (serve) => over(desk, serve),
    missing,
    look: () => one(look),
  }
}

interface Standing {
  version: number
  reign: number
  /** Pillars that have told what they have; undefined when nothing is being recovered. */
  came: Set<string> | undefined
}

async function renew(ground: RecoveryGround, at: Standing): Promise<void> {
  const { world, state, directory, words, sealing } = ground
  if (at.came) return
  const said = {
    archive: directory.document().archive,
    document: Buffer.from(directory.sealed()).toString('utf8'),
    invitations: ground.invitations(),
    words: words.leaving().map((pillar) => ({ pillar, word: words.of(pillar) ?? 'retired' })),
    epoch: ground.epoch(),
  }
  const digest = digestOf(world, JSON.stringify(said))
  if (digest === (await state.get(digestKey))) return
  const now = world.clock.now()
  const next = Math.max(at.version + 1, now)
  const part: RecoveryPart = { ...said, version: next, at: timeText(now) }
  const sealed = Buffer.from(sealing.seal(new TextEncoder().encode(JSON.stringify(part))))
  await state.change([
    [partKey, sealed.toString('base64')],
    [versionKey, `${next}`],
    [digestKey, digest],
  ])
  at.version = next
  ground.changed()
}

/** Of two parts, what the newer says. */
async function take(ground: RecoveryGround, at: Standing, sealed: Uint8Array): Promise<void> {
  const { state, directory, words, sealing } = ground
  const plain = sealing.open(sealed)
  const part = plain && parseRecoveryPart(Buffer.from(plain).toString('utf8'))
  if (part?.archive !== directory.document().archive || part.version <= at.version) return
  at.version = part.version
  await state.change([
    [versionKey, `${part.version}`],
    [epochKey, `${part.epoch + epochAhead}`],
  ])
  ground.takeInvitations(part.invitations)
  for (const { pillar, word } of part.words) await words.say(pillar, word)
  if (await directory.accept(Buffer.from(part.document, 'utf8'))) {
    ground.keep()
    ground.changed()
  }
  const document = directory.document().version
  ground.world.log.info('recovery.taken', { version: at.version, document })
}

/** Everybody has come: from now on this is the tracker, and the one before is none. */
async function finish(ground: RecoveryGround, at: Standing): Promise<void> {
  const { state, directory } = ground
  const reign = (directory.document().reign ?? 0) + 1
  await state.change([[reignKey, `${reign}`]])
  at.reign = reign
  await ground.over((before) => ({ ...before, reign }))
  await state.change([[recoveringKey, undefined]])
  at.came = undefined
  ground.world.log.info('recovery.over', { document: directory.document().version })
  ground.changed()
  await renew(ground, at)
}

interface Desk {
  readonly directory: Directory
  isRecovering(): boolean
  wants(peer: string): boolean
  version(): number
  part(): Promise<string | undefined>
  take(sealed: Uint8Array): Promise<void>
  arrived(peer: string): Promise<void>
}

function over(desk: Desk, serve: Serve): Serve {
  const { directory } = desk
  return async (peer, request, signal) => {
    const { method, path } = request
    const role = directory.identity(peer)?.role
    if (path === recoveryPath)
      return method === 'GET' ? give(desk, peer, request) : taken(desk, request)
    if (!desk.isRecovering()) return serve(peer, request, signal)
    if (path !== '/archive-document')
      return role === undefined ? refusal(403, waiting) : serve(peer, request, signal)
    // What clients have signed meanwhile would hide what a pillar knows.
    if (method !== 'PATCH' || role === 'client') return refusal(503, waiting)
    const answer = await serve(peer, request, signal)
    // It may be known by now as what it is; whoever is none does not count.
    if (directory.identity(peer)?.role === 'pillar') await desk.arrived(peer)
    return answer
  }
}

const waiting = 'this tracker was restored, and waits for what pillars know of the archive'

async function give(desk: Desk, peer: string, { headers: asked }: Request): Promise<Response> {
  const document = { [documentHeader]: `${desk.directory.document().version}` }
  if (desk.isRecovering()) {
    const wanted = desk.wants(peer) ? { [recoveringHeader]: '1' } : {}
    return refusal(503, waiting, { ...document, ...wanted })
  }
  const part = await desk.part()
  if (desk.directory.identity(peer)?.role !== 'pillar' || part === undefined)
    return refusal(404, 'nothing is to be kept', document)
  const headers = { ...document, etag: partTag(desk.version()) }
  if (asked['if-none-match'] === headers.etag) return { status: 304, headers }
  const bytes = Buffer.from(part, 'base64')
  return {
    status: 200,
    headers: { ...headers, 'content-length': `${bytes.length}` },
    body: once(bytes),
  }
}

async function taken(desk: Desk, { body, headers, method }: Request): Promise<Response> {
  if (method !== 'PATCH' || !desk.isRecovering())
    return refusal(409, 'nothing is being recovered here')
  if (partVersion(headers.etag) === undefined) return refusal(400, 'a version is wanted')
  const parts: Uint8Array[] = []
  let size = 0
  for await (const bytes of body ?? []) {
    size += bytes.length
    if (size > partBytesMax) return refusal(413, 'too long for a part of the recovery kit')
    parts.push(Uint8Array.from(bytes))
  }
  await desk.take(Buffer.concat(parts))
  return { status: 204, headers: {} }
}

const refusal = (status: number, why: string, headers: Record<string, string> = {}): Response => ({
  status,
  headers,
  body: once(new TextEncoder().encode(`${why}\n`)),
})

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
