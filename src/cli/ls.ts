/** `colonnade ls` and `checksums`: what the pillars say that they have. */
import type { Known } from '../client/list.ts'
import { formatBytes } from '../world/units.ts'
import { ask, byId, chosen } from './chosen.ts'
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
  const query = {
    ...(name === undefined ? {} : { prefix: name }),
    ...(options.since === undefined ? {} : { since: options.since }),
  }
  const listed = await ask(desk, collection, query, options.pillar)
  const files = byId(listed.filter(({ id }) => isAtOrBelow(id, name)))
  for (const { id, size, mtime, checksum, pillars, differing } of files) {
    const time = new Date(mtime).toISOString()
    desk.out.object({ id, size, mtime: time, checksum, copies: pillars, differing })
  }
  for (const line of table(files.map(rowOf), [0])) desk.out.line(line)
  if (files.length === 0)
    desk.out.note(name === undefined ? 'there are no files yet' : `nothing at ${idText(name)}`)
  return exitCodes.done
}

/** `a` is about the file `a` and all below the folder `a`, not about `apples`. */
const isAtOrBelow = (id: string, name: string | undefined): boolean =>
  name === undefined || name.endsWith('/') || id === name || id.startsWith(`${name}/`)

function rowOf({ id, size, mtime, pillars, differing }: Known): string[] {
  const time = `${new Date(mtime).toISOString().slice(0, -8)}Z`
  const copies = many(pillars.length, 'copy', 'copies')
  const others = differing.length === 0 ? '' : `, ${differing.join(' and ')} has other bytes`
  return [formatBytes(size), time, `${copies}${others}`, idText(id)]
}

/** In the form that `sha256sum -c` reads. */
export async function checksums(
  desk: Desk,
  collection: string,
  names: readonly string[] | 'all',
  options: { readonly pillar?: string },
): Promise<ExitCode> {
  const { out } = desk
  const { files, missing } = await chosen(desk, collection, names, options.pillar)
  let differ = false
  for (const { id, checksum, pillars, differing } of files) {
    out.object({ id, checksum, pillars, differing })
    out.exact(sumLine(id, checksum))
    if (differing.length === 0) continue
    differ = true
    out.warn(`${idText(id)}: ${differing.join(', ')} has other bytes`)
  }
  for (const id of missing) {
    out.warn(`${idText(id)}: no pillar that answered has it`)
    out.object({ id, outcome: 'notFound' })
  }
  if (missing.length > 0 && files.length === 0) return exitCodes.failed
  return missing.length > 0 || differ ? exitCodes.partly : exitCodes.done
}

const sumEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' }

/** A line of GNU sha256sum: a backslash in front says that the name is escaped. */
export function sumLine(id: string, checksum: string): string {
  const escaped = id.replace(/[\\\n\r]/g, (character) => sumEscapes[character] ?? character)
  return `${escaped === id ? '' : '\\'}${checksum}  ${escaped}`
}
