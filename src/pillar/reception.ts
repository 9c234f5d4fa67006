/** Receiving one file, shared by all requests that want it here: the newest token is the one that is used. */
import { limits } from '../limits.ts'
import type { Actor, Incoming, NewFile } from '../store/store.ts'
import { TransferFailed } from '../transfer/attempts.ts'
import type { ObjectKey } from '../transfer/objects.ts'
import { pull, release, type Sink } from '../transfer/pull.ts'
import { type Hop, hopsOf, type Route, route } from '../transfer/route.ts'
import { claimsOf } from '../transfer/token.ts'
import type { Urgency } from '../transfer/transfer.ts'
import { gate } from '../world/lock.ts'
import type { Desk } from './pillar.ts'
import { Halted } from './power.ts'
import type { FileResult, PutRequest } from './put-run.ts'

/** A request, and the id of the key that signed it; unknown of requests that an older release accepted. */
export interface Signed {
  readonly request: PutRequest
  readonly signer: string | undefined
}

export interface Reception {
  readonly ended: Promise<FileResult>
  at(): number
  /** Exchange we wait at for bytes that the client has to bring there. */
  waitingAt(): string | undefined
  /** The link may be used again in so many milliseconds; undefined when it may be now. */
  closedFor(): number | undefined
  /** The request came again, perhaps with a newer token. */
  renew(signed: Signed): void
}

/** One transfer while it goes on. */
interface Course {
  readonly file: NewFile
  readonly route: Route
  /** The request whose token is used, and the place of the file in it. */
  request: PutRequest
  signer: string | undefined
  place: number
  at: number
  waitingAt: string | undefined
  closedFor: number | undefined
  /** The relay it turned to, if it did. */
  relay: string | undefined
  /** Resolves when a request of another conversation takes it over. */
  takenOver: Promise<undefined>
  takeOver(): void
}

const keyOfFile = ({ collection, id }: Pick<NewFile, 'collection' | 'id'>): string =>
  `${collection}\0${id}`

export function transfers(desk: Desk) {
  const open = new Map<string, Reception>()
  const gates = new Map<string, ReturnType<typeof gate>>()
  const routes = new Map<string, Route>()

  /**
   * Each request gets its own share: one whose bytes do not come, because its client is gone, does not stop the next
   * command of that client.
   */
  const slotOf = (conversation: string): Promise<() => void> => {
    const known = gates.get(conversation) ?? gate(limits.transfersOpenMax)
    gates.set(conversation, known)
    return known.enter()
  }
  const routeOf = (conversation: string): Route => {
    const known = routes.get(conversation) ?? route(desk.world)
    routes.set(conversation, known)
    return known
  }
  function begin(file: NewFile, { request, signer }: Signed, place: number): Reception {
    const course: Course = {
      file,
      route: routeOf(request.conversation),
      request,
      signer,
      place,
      at: 0,
      waitingAt: undefined,
      closedFor: undefined,
      relay: undefined,
      ...takeover(),
    }
    return {
      ended: receive(desk, course, () => turn(course, slotOf)),
      at: () => course.at,
      waitingAt: () => course.waitingAt,
      closedFor: () => course.closedFor,
      renew({ request: again, signer }) {
        const found = again.files.findIndex((one) => one.id === file.id)
        // Another client's token names other objects: its request waits for the same transfer.
        if (found < 0 || again.from !== course.request.from) return
        const { takeOver, request: before } = course
        course.request = again
        course.signer = signer
        course.place = found
        if (before.conversation === again.conversation) return
        Object.assign(course, takeover())
        takeOver()
      },
    }
  }

  return {
    join(file: NewFile, signed: Signed, place: number): Reception {
      const known = open.get(keyOfFile(file))
      if (known) {
        known.renew(signed)
        return known
      }
      const reception = begin(file, signed, place)
      open.set(keyOfFile(file), reception)
      void reception.ended.then(() => open.delete(keyOfFile(file)))
      return reception
    },
    /** A request is over: what it left unfinished no longer keeps other bytes away. */
    leave(files: readonly NewFile[]): void {
      desk.store.release(files.filter((file) => !open.has(keyOfFile(file))))
      if (open.size > 0) return
      routes.clear()
      gates.clear()
    },
  }
}

function takeover(): Pick<Course, 'takenOver' | 'takeOver'> {
  let takeOver = (): void => undefined
  const takenOver = new Promise<undefined>((resolve) => {
    takeOver = () => resolve(undefined)
  })
  return { takenOver, takeOver }
}

/** Waits for its turn among the files of its request, which may become another one meanwhile. */
async function turn(
  course: Course,
  slotOf: (conversation: string) => Promise<() => void>,
): Promise<() => void> {
  for (;;) {
    const slot = slotOf(course.request.conversation)
    const leave = await Promise.race([slot, course.takenOver])
    if (leave) return leave
    void slot.then((unused) => unused())
  }
}

async function receive(
  desk: Desk,
  course: Course,
  enter: () => Promise<() => void>,
): Promise<FileResult> {
  const { file } = course
  const moved = desk.estimate.waiting(file.size)
  const { halted, leave: done } = desk.inHand.enter(() => file.size - course.at)
  const leave = await enter()
  let before = 0
  let incoming: Incoming | undefined
  try {
    if (desk.stopping.aborted) return { id: file.id, code: 'FILE_TRANSFER_FAILURE' }
    halted.throwIfAborted()
    if (await desk.store.storeTwin?.(file, actorOf(course))) {
      course.at = file.size
      return settled(desk, file, 'stored')
    }
    incoming = await desk.store.incoming(file.collection, file.id, file.replaces)
    before = course.at = incoming.at()
    await fetch(desk, course, incoming, halted)
    // The slot is for bytes on their way; files that wait for their sync share it better without.
    leave()
    const why = await countedOut(desk, course)
    if (why !== undefined) return { id: file.id, code: 'FAILURE', text: why }
    return settled(desk, file, await incoming.finish(actorOf(course)))
  } catch (broken) {
    // What has come is there when the power is back. What it was broken off for says more than how it broke.
    if (halted.aborted) await incoming?.secure().catch(() => undefined)
    const error: unknown = halted.aborted ? halted.reason : broken
    const text = error instanceof Error ? error.message : String(error)
    desk.world.log.warn('put.failed', { id: file.id, why: text })
    const isTransfer = error instanceof TransferFailed || error instanceof Halted
    return { id: file.id, code: isTransfer ? 'FILE_TRANSFER_FAILURE' : 'FAILURE', text }
  } finally {
    leave()
    await incoming?.leave()
    done()
    moved(course.at - before)
    course.waitingAt = undefined
    course.closedFor = undefined
    if (course.relay !== undefined) void forget(desk, course)
  }
}

/** Counts a file that is about to take the place of another; why it may not, when they are too many. */
async function countedOut(desk: Desk, { file, request }: Course): Promise<string | undefined> {
  if (!file.replaces) return undefined
  const wish = { by: request.from, collection: file.collection, files: 1, kind: 'change' as const }
  return (await desk.floors.spend(wish)).why
}

const actorOf = ({ request, signer }: Course): Actor => ({
  actor: request.from,
  conversation: request.conversation,
  ...(signer === undefined ? {} : { key: signer }),
  ...(request.auditTrailInformation === undefined
    ? {}
    : { information: request.auditTrailInformation }),
})

async function fetch(
  desk: Desk,
  course: Course,
  incoming: Incoming,
  halted: AbortSignal,
): Promise<void> {
  const { file } = course
  const sink: Sink = {
    at: () => incoming.at(),
    async write(bytes) {
      course.waitingAt = undefined
      await desk.inHand.writable(halted)
      await incoming.write(bytes)
      course.at = incoming.at()
    },
    secure: () => incoming.secure(),
  }
  if (file.size === 0 || (await copyLocally(desk, file, sink))) return
  await pull({
    world: desk.world,
    dial: desk.dial,
    sink,
    size: file.size,
    key: objectOf(course),
    signal: AbortSignal.any([desk.stopping, halted]),
    urgency: urgencyOf(desk, course),
    route: course.route,
    hops: () => hopsFor(desk, course),
    token: () => course.request.transmission.token,
    windows: desk.windows,
    closedFor(ms) {
      course.closedFor = ms
    },
    waitingAt(identity) {
      course.waitingAt = identity
      course.relay = identity
    },
  })
}

/** What a client stores comes before what the tracker brings back to its number of copies. */
const urgencyOf = ({ directory }: Desk, { request }: Course): Urgency =>
  directory.identity(request.from)?.role === 'tracker' ? 'mend' : 'store'

const hopsFor = (desk: Desk, { request }: Course): readonly Hop[] =>
  hopsOf(request.transmission, desk.directory)?.hops ?? []

function settled(desk: Desk, file: NewFile, outcome: 'stored' | 'wrongChecksum'): FileResult {
  if (outcome === 'stored') return { id: file.id, code: 'OPERATION_COMPLETED' }
  const text = `the bytes that came are not those that were announced: ${file.id}`
  desk.alarm('CHECKSUM_ALARM', text, { collection: file.collection, fileId: file.id })
  return { id: file.id, code: 'NEW_FILE_CHECKSUM_FAILURE' }
}

/** The relay may forget what we have; nothing depends on it. */
async function forget(desk: Desk, course: Course): Promise<void> {
  const hop = hopsFor(desk, course).find((one) => one.identity === course.relay)
  if (!hop) return
  const token = (): string => course.request.transmission.token
  const task = { dial: desk.dial, key: objectOf(course), token, signal: desk.stopping }
  await release(task, hop).catch(() => undefined)
}

function objectOf({ request, place, file }: Course): ObjectKey {
  const claims = claimsOf(request.transmission.token)
  const object = claims?.obj[place]
  if (!claims || claims.iss !== request.from || !object || object[1] !== file.size)
    throw new TransferFailed('the token does not fit the request')
  return { issuer: claims.iss, name: object[0] }
}

/** Bytes we have under another id need not travel. */
async function copyLocally(desk: Desk, file: NewFile, sink: Sink): Promise<boolean> {
  if (sink.at() > 0) return false
  const twin = await desk.store.withBytes(file.collection, file.checksum, file.size)
  if (!twin) return false
  // Read twice: a twin that has rotted must not cost the sender his put.
  const hasher = desk.world.hashing.start('sha256')
  for await (const bytes of desk.store.read(twin, 0, twin.size)) hasher.update(bytes)
  if (hasher.hex() !== file.checksum) return false
  for await (const bytes of desk.store.read(twin, 0, twin.size)) await sink.write(bytes)
  return true
}
