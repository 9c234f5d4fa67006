/** `colonnade delete`, `undelete` and `ls --deleted`. */
import { Unable } from '../client/client.ts'
import type { ListQuery } from '../client/pages.ts'
import { type Deleted, type Done, deleted, remove, restore } from '../client/remove.ts'
import { fileIdFault } from '../protocol/scalars.ts'
import { formatBytes } from '../world/units.ts'
import { checkName } from './chosen.ts'
import { type Desk, nobodyAnswered, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, idText, many, table } from './output.ts'

export interface DeleteOptions {
  readonly checksum?: string
  readonly pillar?: readonly string[]
  /** Why, in free words. */
  readonly note?: string
}

export const checkDelete = (id: string, options: DeleteOptions): void =>
  guarded(id, options, 'delete', 'colonnade delete home ID --checksum HEX --pillar NAME')

/** Throws a complaint unless the file is named exactly, and the pillars are. */
export function guarded(
  id: string,
  { checksum, pillar }: DeleteOptions,
  verb: string,
  how: string,
): void {
  checkName(id)
  if (id.endsWith('/'))
    throw new Complaint(`a folder can not be ${verb}d in one go`, exitCodes.usage, `\`${how}\``)
  if (!checksum || !pillar || pillar.length === 0)
    throw new Complaint(
      'say which bytes by --checksum, and from which pillars by --pillar',
      exitCodes.usage,
      '`colonnade checksums` shows the checksum; --pillar may be repeated',
    )
  if (!/^[0-9a-f]{64}$/i.test(checksum))
    throw new Complaint(
      'a checksum here has 64 hexadecimal digits',
      exitCodes.usage,
      '`colonnade checksums` shows it',
    )
}

export async function deleteFile(
  desk: Desk,
  collection: string,
  id: string,
  { checksum = '', pillar = [] }: DeleteOptions,
): Promise<ExitCode> {
  const { client, out, signal } = desk
  const pillars = [...new Set(pillar)]
  for (const name of pillars) pillarsOf(desk, collection, name)
  const file = { id, checksum: checksum.toLowerCase() }
  const done = await remove(client, collection, file, pillars, signal)
  for (const one of done) tellOne(desk, one, 'deleted')
  if (done.some(({ is }) => is === 'done')) {
    const rest = pillarsOf(desk, collection).length - pillars.length
    if (rest === 0) out.note('no pillar of this collection keeps it now; `undelete` brings it back')
  }
  return outcomeCode(done)
}

export async function undelete(
  desk: Desk,
  collection: string,
  name: string,
  options: { readonly pillar?: string },
): Promise<ExitCode> {
  const { client, out, signal } = desk
  const all = await asked(desk, collection, queryFor(name), options.pillar)
  const done: Done[] = []
  let late = 0
  for (const [pillar, files] of all.found) {
    const kept = files.filter(({ keptUntil }) => keptUntil !== undefined)
    late += files.length - kept.length
    done.push(...(await restore(client, collection, pillar, kept, signal)))
  }
  for (const one of done) tellOne(desk, one, 'brought back')
  if (late > 0) out.warn(`${many(late, 'file')} can not be brought back any more: not kept aside`)
  if (done.length === 0) {
    if (late === 0) out.warn(`nothing was deleted at ${idText(name)}`)
    return exitCodes.failed
  }
  const code = outcomeCode(done)
  return code === exitCodes.done && (late > 0 || all.silent > 0) ? exitCodes.partly : code
}

/** What was deleted, and until when it can be brought back. */
export async function lsDeleted(
  desk: Desk,
  collection: string,
  name: string | undefined,
  options: { readonly pillar?: string; readonly since?: number },
): Promise<ExitCode> {
  const { out } = desk
  const query = {
    ...(name === undefined ? {} : queryFor(name)),
    ...(options.since === undefined ? {} : { since: options.since }),
  }
  const { found } = await asked(desk, collection, query, options.pillar)
  const files = [...found.values()].flat()
  files.sort((a, b) => a.removedAt - b.removedAt || (a.id < b.id ? -1 : 1))
  for (const { mtime, removedAt, keptUntil, ...file } of files)
    out.object({
      ...file,
      mtime: new Date(mtime).toISOString(),
      removedAt: new Date(removedAt).toISOString(),
      ...(keptUntil === undefined ? {} : { keptUntil: new Date(keptUntil).toISOString() }),
    })
  for (const line of table(files.map(rowOf), [0])) out.line(line)
  if (files.length === 0) out.note('nothing was deleted')
  return exitCodes.done
}

const minute = (time: number): string => `${new Date(time).toISOString().slice(0, -8)}Z`

const rowOf = ({ id, size, pillar, removedAt, keptUntil }: Deleted): string[] => [
  formatBytes(size),
  `deleted ${minute(removedAt)}`,
  `from ${pillar}`,
  keptUntil === undefined ? 'not kept' : `kept until ${minute(keptUntil)}`,
  idText(id),
]

const queryFor = (name: string): ListQuery =>
  name.endsWith('/') ? { prefix: name } : { ids: [name] }

async function asked(
  desk: Desk,
  collection: string,
  query: ListQuery,
  pillar: string | undefined,
): Promise<{ readonly found: ReadonlyMap<string, Deleted[]>; readonly silent: number }> {
  const { client, out, signal } = desk
  const pillars = pillarsOf(desk, collection, pillar)
  const found = new Map<string, Deleted[]>()
  await Promise.all(
    pillars.map(async (name) => {
      const files: Deleted[] = []
      try {
        for await (const file of deleted(client, collection, name, query, signal))
          if (fileIdFault(file.id) === undefined) files.push(file)
        found.set(name, files)
      } catch (error) {
        if (!(error instanceof Unable)) throw error
        out.note(`without ${name}, which did not answer`)
      }
    }),
  )
  if (found.size === 0) throw nobodyAnswered(desk, collection)
  return { found, silent: pillars.length - found.size }
}

export function tellOne({ out }: Desk, { pillar, id, is, why }: Done, what: string): void {
  out.object({ id, pillar, outcome: is, ...(why === undefined ? {} : { why }) })
  if (is === 'done') out.tell(`${what}: ${idText(id)} on ${pillar}`)
  else if (is === 'absent') out.tell(`${idText(id)}: not on ${pillar}`)
  else if (is === 'silent') out.warn(`${idText(id)}: ${pillar} did not answer`)
  else out.warn(`${idText(id)}: ${pillar} refuses: ${why}`)
}

/** What is not there is as good as deleted, but somebody who names it wrongly must not believe so. */
export function outcomeCode(done: readonly Done[]): ExitCode {
  const count = (is: Done['is']): number => done.filter((one) => one.is === is).length
  if (count('done') === done.length) return exitCodes.done
  if (count('done') > 0)
    return count('silent') + count('refused') > 0 ? exitCodes.partly : exitCodes.done
  return count('silent') === done.length ? exitCodes.nobody : exitCodes.failed
}
