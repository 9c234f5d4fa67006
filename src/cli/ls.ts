/** `colonnade ls`: what the pillars say that they have. */
import type { Known } from '../client/list.ts'
import { formatBytes } from '../world/units.ts'
import { ask, byId } from './chosen.ts'
import type { Desk } from './desk.ts'
import { type ExitCode, exitCodes, idText, many, table } from './output.ts'

export interface LsOptions {
  readonly pillar?: string
  /** Milliseconds since 1970. */
  readonly since?: number
}

export async function ls(
  desk: Desk,
  collection: string,
  name: string | undefined,
  options: LsOptions,
): Promise<ExitCode> {
  // There it is the tracker that lists, for all copies of each fragment.
  const pieces = desk.client.directory.collection(collection)?.fragments !== undefined
  const query = {
    ...(pieces ? { copies: true } : {}),
    ...(name === undefined ? {} : { prefix: name }),
    ...(options.since === undefined ? {} : { since: options.since }),
  }
  const listed = await ask(desk, collection, query, options.pillar)
  const files = byId(listed.filter(({ id }) => isAtOrBelow(id, name)))
  for (const { id, size, mtime, checksum, copies, differing, spread } of files) {
    const time = new Date(mtime).toISOString()
    const fragments = spread === undefined ? {} : { fragments: spread }
    desk.out.object({ id, size, mtime: time, checksum, copies, differing, ...fragments })
  }
  for (const line of table(
    files.map((file) => rowOf(file, pieces)),
    [0],
  ))
    desk.out.line(line)
  if (files.length === 0)
    desk.out.note(name === undefined ? 'there are no files yet' : `nothing at ${idText(name)}`)
  return exitCodes.done
}

/** `a` is about the file `a` and all below the folder `a`, not about `apples`. */
const isAtOrBelow = (id: string, name: string | undefined): boolean =>
  name === undefined || name.endsWith('/') || id === name || id.startsWith(`${name}/`)

function rowOf(file: Known, pieces: boolean): string[] {
  const { id, size, mtime, copies: held, differing, spread } = file
  const time = `${new Date(mtime).toISOString().slice(0, -8)}Z`
  const scarcest = spread
    ? `${spread.least} of ${many(spread.wanted, 'copy', 'copies')}`
    : 'in fragments'
  const copies = pieces ? scarcest : many(held.length, 'copy', 'copies')
  const others = differing.length === 0 ? '' : `, ${differing.join(' and ')} has other bytes`
  return [formatBytes(size), time, `${copies}${others}`, idText(id)]
}
