/** `colonnade replace`: other bytes in the place of one file, on the pillars that are named. */
import { Changed, hashFile, offerOf } from '../client/files.ts'
import { replaceFile } from '../client/replace.ts'
import { type DeleteOptions, guarded, outcomeCode, tellOne } from './delete.ts'
import { type Desk, onDisk, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, idText, reasonOf } from './output.ts'
import { progress } from './progress.ts'

export interface ReplaceOptions extends DeleteOptions {
  readonly quiet?: boolean
  readonly json?: boolean
  readonly note?: string
}

export const checkReplace = (id: string, options: ReplaceOptions): void =>
  guarded(id, options, 'replace', 'colonnade replace home ID PATH --checksum HEX --pillar NAME')

export async function replace(
  desk: Desk,
  collection: string,
  id: string,
  path: string,
  { checksum: old = '', pillar = [], note, quiet = false, json = false }: ReplaceOptions,
): Promise<ExitCode> {
  const { client, disk, out, signal } = desk
  const pillars = [...new Set(pillar)]
  for (const name of pillars) pillarsOf(desk, collection, name)
  const stat = await disk.stat(onDisk(path)).catch((error) => failed(path, error))
  if (stat?.kind !== 'file')
    throw new Complaint(`${idText(path)}: there is no such file`, exitCodes.failed)
  const hashed = hashFile(client.world, disk, onDisk(path), stat, { signal })
  const checksum = await hashed.catch((error) => failed(path, error))
  const { size, mtime } = stat
  const item = { id, size, mtime, checksum, offer: offerOf(disk, onDisk(path), stat) }
  const bytes = size * pillars.length
  const bar = progress({ verb: 'replacing', bytes, files: 1, quiet: quiet || json })
  const came = new Map<string, number>()
  const done = await replaceFile(client, collection, old.toLowerCase(), item, pillars, {
    signal,
    ...(note === undefined ? {} : { information: note }),
    progress(name, some) {
      came.set(name, some)
      bar.at(
        [...came.values()].reduce((sum, one) => sum + one, 0),
        0,
      )
    },
  }).finally(() => bar.end())
  for (const one of done) tellOne(desk, one, 'replaced')
  const rest = pillarsOf(desk, collection).filter((name) => !pillars.includes(name))
  if (done.every(({ is }) => is === 'done') && rest.length > 0)
    out.note(`${rest.join(', ')} still ${rest.length === 1 ? 'has' : 'have'} what was there before`)
  return outcomeCode(done)
}

function failed(path: string, error: unknown): never {
  const why = error instanceof Changed ? 'it changes while it is read' : reasonOf(error)
  throw new Complaint(`${idText(path)}: ${why}`, exitCodes.failed)
}
