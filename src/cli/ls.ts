/** `colonnade ls` and `checksums`: what the pillars say that they have. */
import { type Known, type Survey, survey } from '../client/list.ts'
import { formatBytes } from '../world/units.ts'
import { Complaint, type ExitCode, exitCodes, idText, table } from './output.ts'
import type { Desk } from './put.ts'

export interface LsOptions {
  readonly pillar?: string
  /** Milliseconds since 1970. */
  readonly since?: number
}

async function ask({ client, out, signal }: Desk, collection: string, query: Parameters<typeof survey>[2], pillar?: string): Promise<Survey> {
  const only = pillar === undefined ? undefined : [pillar]
  const all = only ?? client.policy(collection).pillars
  const found = await survey(client, collection, query, signal, only)
  if (found.silent.length === all.length) throw new Complaint('no pillar answered', exitCodes.nobody, 'is the archive running? `colonnade status` tells')
  if (found.silent.length > 0) out.note(`colonnade: without ${found.silent.join(', ')}, which did not answer`)
  return found
}

const byId = (files: Iterable<Known>): Known[] => [...files].sort((a, b) => (a.id < b.id ? -1 : 1))

export async function ls(desk: Desk, collection: string, prefix: string | undefined, options: LsOptions): Promise<ExitCode> {
  const query = { ...(prefix === undefined ? {} : { prefix }), ...(options.since === undefined ? {} : { since: options.since }) }
  const { files } = await ask(desk, collection, query, options.pillar)
  const rows: string[][] = []
  for (const { id, size, mtime, checksum, pillars, differing } of byId(files.values())) {
    desk.out.object({ id, size, mtime: new Date(mtime).toISOString(), checksum, copies: pillars, differing })
    rows.push([formatBytes(size), new Date(mtime).toISOString().slice(0, 16).replace('T', ' '), `${pillars.length} copies`, idText(id)])
  }
  for (const line of table(rows, [0])) desk.out.line(line)
  return exitCodes.done
}

/** In the form that `sha256sum -c` reads. */
export async function checksums(desk: Desk, collection: string, ids: readonly string[], options: { readonly pillar?: string }): Promise<ExitCode> {
  const { files } = await ask(desk, collection, ids.length > 0 ? { ids } : {}, options.pillar)
  let partly = false
  for (const { id, checksum, pillars, differing } of byId(files.values())) {
    desk.out.object({ id, checksum, pillars, differing })
    const escaped = id.replace(/[\\\n\r]/g, c => (c === '\\' ? '\\\\' : c === '\n' ? '\\n' : '\\r'))
    desk.out.line(`${escaped === id ? '' : '\\'}${checksum}  ${escaped}`)
    if (differing.length === 0) continue
    partly = true
    desk.out.warn(`${idText(id)}: ${differing.join(', ')} has other bytes`)
  }
  for (const id of ids) {
    if (files.has(id)) continue
    partly = true
    desk.out.warn(`${idText(id)}: no pillar that answered has it`)
    desk.out.object({ id, outcome: 'notFound' })
  }
  return partly ? exitCodes.partly : exitCodes.done
}
