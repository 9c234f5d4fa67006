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
  /** Signed by two people, who want just these bytes there. */
  readonly order?: string
  readonly replacement?: { readonly size: number; readonly checksum: string } | undefined
}

export const checkReplace = (id: string, options: ReplaceOptions): void =>
  guarded(id, options, 'replace', 'colonnade replace home ID PATH --checksum HEX --pillar NAME')

export async function replace(
  desk: Desk,
  collection: string,
  id: string,
  path: string,
  options: ReplaceOptions,
): Promise<ExitCode> {
  const { checksum: old = '', pillar = [], note, quiet = false, json = false } = options
  const { client, disk, out, signal } = desk
  const pillars = namedPillars(desk, collection, pillar)
  const { stat, checksum } = await looked(desk, path)
  const { size, mtime } = stat
  const { order, replacement } = options
  if (replacement && replacement.checksum !== checksum)
    throw new Complaint(`${idText(path)} is not what was approved`, exitCodes.failed)
  const item = { id, size, mtime, checksum, offer: offerOf(disk, onDisk(path), stat) }
  const bytes = size * pillars.length
  const bar = progress({ verb: 'replacing', bytes, files: 1, quiet: quiet || json })
  const came = new Map<string, number>()
  const done = await replaceFile(client, collection, old.toLowerCase(), item, pillars, {
    signal,
    ...(note === undefined ? {} : { information: note }),
    ...(order === undefined ? {} : { order }),
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

/** Who was named, each once; a complaint about who does not keep it. */
export function namedPillars(
  desk: Desk,
  collection: string,
  named: readonly string[],
): readonly string[] {
  const pillars = [...new Set(named)]
  for (const name of pillars) pillarsOf(desk, collection, name)
  return pillars
}

/** The file that was named, and the checksum of what is in it. */
export async function looked({ client, disk, signal }: Desk, path: string) {
  const stat = await disk.stat(onDisk(path)).catch((error) => failed(path, error))
  if (stat?.kind !== 'file')
    throw new Complaint(`${idText(path)}: there is no such file`, exitCodes.failed)
  const hashed = hashFile(client.world, disk, onDisk(path), stat, { signal })
  return { stat, checksum: await hashed.catch((error) => failed(path, error)) }
}

function failed(path: string, error: unknown): never {
  const why = error instanceof Changed ? 'it changes while it is read' : reasonOf(error)
  throw new Complaint(`${idText(path)}: ${why}`, exitCodes.failed)
}
