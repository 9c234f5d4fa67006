/** Receiving one file, shared by all requests that want it here: the newest token is the one that is used. */
import { limits } from '../limits.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { NewFile } from '../store/store.ts'
import { TransferFailed } from '../transfer/attempts.ts'
import { pull, release } from '../transfer/pull.ts'
import { type Hop, hopsOf, type Route, route } from '../transfer/route.ts'
import { claimsOf } from '../transfer/token.ts'
import { gate } from '../world/lock.ts'
import type { Desk } from './pillar.ts'

type PutRequest = MessageOf<'PutFileRequest'>
type FileResult = MessageOf<'PutFileFinalResponse'>['files'][number]

export interface Reception {
  readonly ended: Promise<FileResult>
  at(): number
  /** Exchange we wait at for bytes that the client has to bring there. */
  waitingAt(): string | undefined
  /** The request came again, perhaps with a newer token. */
  renew(request: PutRequest): void
}

interface Source {
  readonly request: PutRequest
  readonly place: number
}

export function transfers(desk: Desk) {
  const open = new Map<string, Reception>()
  const gates = new Map<string, ReturnType<typeof gate>>()
  const routes = new Map<string, Route>()
  const keyOfFile = ({ collection, id }: Pick<NewFile, 'collection' | 'id'>): string =>
    `${collection}\0${id}`

  /** Each client gets its own share: one whose bytes do not come does not stop the others. */
  const gateOf = (issuer: string): ReturnType<typeof gate> => {
    const known = gates.get(issuer) ?? gate(limits.transfersOpenMax)
    gates.set(issuer, known)
    return known
  }
  const routeOf = (conversation: string): Route => {
    const known = routes.get(conversation) ?? route(desk.world)
    routes.set(conversation, known)
    return known
  }

  function begin(file: NewFile, first: Source): Reception {
    let source = first
    let waitingAt: string | undefined
    let at = 0
    const receive = async (): Promise<FileResult> => {
      const leave = await gateOf(first.request.from).enter()
      let hop: Hop | undefined
      try {
        if (desk.stopping.aborted) return { id: file.id, code: 'FILE_TRANSFER_FAILURE' }
        const incoming = await desk.store.incoming(file.collection, file.id)
        at = incoming.at()
        const sink = {
          at: () => incoming.at(),
          write: async (bytes: Uint8Array) => {
            waitingAt = undefined
            await incoming.write(bytes)
            at = incoming.at()
          },
          secure: () => incoming.secure(),
        }
        if (file.size > 0 && !(await copyLocally(desk, file, sink))) {
          await pull({
            world: desk.world,
            dial: desk.dial,
            sink,
            size: file.size,
            key: keyOfSource(source, file),
            signal: desk.stopping,
            route: routeOf(first.request.conversation),
            hops: () => hopsOf(source.request.transmission, desk.directory)?.hops ?? [],
            token: () => source.request.transmission.token,
            waitingAt: (identity) => {
              waitingAt = identity
            },
          })
          hop = routeOf(first.request.conversation).next(
            hopsOf(source.request.transmission, desk.directory)?.hops ?? [],
          )
        }
        leave()
        return await settle(
          await incoming.finish({
            actor: first.request.from,
            conversation: first.request.conversation,
          }),
        )
      } catch (error) {
        return failed(error)
      } finally {
        leave()
        waitingAt = undefined
        if (hop?.relay) void forget(hop)
      }
    }
    const settle = async (outcome: 'stored' | 'wrongChecksum'): Promise<FileResult> => {
      if (outcome === 'stored') return { id: file.id, code: 'OPERATION_COMPLETED' }
      desk.alarm(
        'CHECKSUM_ALARM',
        `the bytes that came are not those that were announced: ${file.id}`,
        { collection: file.collection, fileId: file.id },
      )
      return { id: file.id, code: 'NEW_FILE_CHECKSUM_FAILURE' }
    }
    const failed = (error: unknown): FileResult => {
      const text = error instanceof Error ? error.message : String(error)
      desk.world.log.warn('put.failed', { id: file.id, why: text })
      return {
        id: file.id,
        code: error instanceof TransferFailed ? 'FILE_TRANSFER_FAILURE' : 'FAILURE',
        text,
      }
    }
    const forget = (hop: Hop): Promise<void> =>
      release(
        {
          dial: desk.dial,
          key: keyOfSource(source, file),
          token: () => source.request.transmission.token,
          signal: desk.stopping,
        },
        hop,
      ).catch(() => undefined)
    return {
      ended: receive(),
      at: () => at,
      waitingAt: () => waitingAt,
      renew(request) {
        const place = request.files.findIndex((one) => one.id === file.id)
        if (place >= 0) source = { request, place }
      },
    }
  }

  return {
    join(file: NewFile, request: PutRequest, place: number): Reception {
      const known = open.get(keyOfFile(file))
      if (known) {
        known.renew(request)
        return known
      }
      const reception = begin(file, { request, place })
      open.set(keyOfFile(file), reception)
      void reception.ended.then(() => open.delete(keyOfFile(file)))
      return reception
    },
    /** A request is over: what it left unfinished no longer keeps other bytes away. */
    leave(files: readonly NewFile[]): void {
      desk.store.release(files.filter((file) => !open.has(keyOfFile(file))))
      if (open.size === 0) routes.clear()
    },
  }
}

function keyOfSource({ request, place }: Source, file: NewFile) {
  const claims = claimsOf(request.transmission.token)
  const object = claims?.obj[place]
  if (!claims || claims.iss !== request.from || !object || object[1] !== file.size)
    throw new TransferFailed('the token does not fit the request')
  return { issuer: claims.iss, name: object[0] }
}

/** Bytes we have under another id need not travel. */
async function copyLocally(
  desk: Desk,
  file: NewFile,
  sink: { at(): number; write(bytes: Uint8Array): Promise<void> },
): Promise<boolean> {
  if (sink.at() > 0) return false
  const twin = await desk.store.withBytes(file.collection, file.checksum, file.size)
  if (!twin) return false
  for await (const bytes of desk.store.read(twin, 0, twin.size)) await sink.write(bytes)
  return true
}
