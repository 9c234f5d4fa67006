/**
 * A pillar keeps for the tracker what only the owner's recovery kit opens, and gives it back to one that was restored; to one
 * that knows less than we do, the archive document, too.
 */
import { limits } from '../limits.ts'
import {
  documentHeader,
  partBytesMax,
  partTag,
  partVersion,
  recoveringHeader,
  recoveryPath,
} from '../protocol/safekeeping.ts'
import { drop } from '../transfer/pull.ts'
import type { Address, Request, Response } from '../transfer/transfer.ts'
import { jittered } from '../world/world.ts'
import type { PillarParts } from './pillar.ts'

export interface Safekeeping {
  /** The tracker says which part is to be kept, 0 when it wants what we have; and which document it knows. */
  told(part: number, document: number): void
  idle(): Promise<void>
}

type Parts = Pick<PillarParts, 'world' | 'state' | 'directory' | 'dial'>

const partKey = 'recovery-part'
const versionKey = 'recovery-version'

export function safekeeping(
  { world, state, directory, dial }: Parts,
  stopping: AbortSignal,
): Safekeeping {
  let wanted = 0
  let served = 0
  let running: Promise<void> | undefined

  async function kept(): Promise<number> {
    return Number((await state.get(versionKey)) ?? 0)
  }
  async function ask(request: Request): Promise<Response | undefined> {
    let failure: unknown
    for (const to of trackerAt(directory))
      try {
        const { connectMs, transferIdleMs: idleMs } = limits
        return await dial(to, request, { connectMs, idleMs, signal: stopping })
      } catch (error) {
        failure = error
      }
    if (failure !== undefined) throw failure
    return undefined
  }
  async function give(path: string, bytes: Uint8Array, more = {}): Promise<void> {
    const headers = { 'content-length': `${bytes.length}`, ...more }
    const answer = await ask({ method: 'PATCH', path, headers, body: once(bytes) })
    if (answer) await drop(answer)
  }
  /** The document last: with it, a restored tracker has all that we have. */
  async function giveBack(): Promise<void> {
    const part = await state.get(partKey)
    if (part !== undefined)
      await give(recoveryPath, Buffer.from(part, 'base64'), { etag: partTag(await kept()) })
    await give('/archive-document', directory.sealed())
  }
  async function visit(): Promise<void> {
    const headers = { 'if-none-match': partTag(await kept()) }
    const answer = await ask({ method: 'GET', path: recoveryPath, headers })
    if (!answer) return
    const version = partVersion(answer.headers.etag)
    const { [documentHeader]: theirs, [recoveringHeader]: recovering } = answer.headers
    if (answer.status === 200 && version !== undefined && recovering === undefined) {
      const part = (await wholeOf(answer)).toString('base64')
      await state.change([
        [partKey, part],
        [versionKey, `${version}`],
      ])
      world.log.info('recovery.kept', { version })
    } else await drop(answer)
    if (recovering !== undefined || Number(theirs) < directory.document().version) await giveBack()
  }
  async function run(): Promise<void> {
    let pauseMs: number = limits.confirmMsMin
    while (served < wanted && !stopping.aborted) {
      const now = wanted
      try {
        await visit()
        served = now
      } catch (error) {
        world.log.info('recovery.notReached', { why: String(error) })
        await world.clock.sleep(jittered(world, pauseMs), stopping)
        pauseMs = Math.min(2 * pauseMs, limits.safekeepingMsMax)
      }
    }
  }
  function go(): void {
    wanted++
    running ??= run().finally(() => {
      running = undefined
    })
  }
  return {
    told: (part, document) =>
      void kept().then(
        (have) => (have !== part || document < directory.document().version) && go(),
      ),
    idle: async () => running,
  }
}

/** Where the tracker's exchange is, as the owner says. */
const trackerAt = (directory: Parts['directory']): Address[] =>
  directory
    .document()
    .exchanges.filter(({ identity }) => directory.identity(identity)?.role === 'tracker')
    .flatMap(({ identity, urls }) => urls.map((url) => ({ identity, url })))

async function wholeOf({ body }: Response): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const bytes of body ?? []) {
    size += bytes.length
    if (size > partBytesMax) throw new Error('the part of the recovery kit is too long')
    parts.push(Uint8Array.from(bytes))
  }
  return Buffer.concat(parts)
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
