/** All files of a put, before the first one is sent: each id once, and none that is a folder of another. */
import type { Desk } from './desk.ts'
import { Complaint, exitCodes, idText } from './output.ts'
import { type PutSummary, passedOver } from './put-summary.ts'
import { type FoundFile, type PassedOver, type WalkOptions, walk } from './walk.ts'

export async function gather(
  desk: Pick<Desk, 'out' | 'signal'>,
  paths: readonly string[],
  options: WalkOptions,
  summary: PutSummary,
): Promise<FoundFile[]> {
  const { out, signal } = desk
  const found = new Map<string, FoundFile>()
  const folders = new Map<string, FoundFile>()
  const over: PassedOver[] = []
  const refuse = (path: string, why: string): void =>
    void over.push({ is: 'passedOver', path, why })
  for await (const one of walk([...new Set(paths)], options)) {
    signal.throwIfAborted()
    if (one.is === 'passedOver') {
      over.push(one)
      continue
    }
    const twin = found.get(one.id)
    // A path that was named twice, by itself and by its folder, is one file all the same.
    if (twin?.path === one.path) continue
    const other = twin ?? folders.get(one.id) ?? above(one.id, found)
    if (twin) refuse(one.path, `it would have the same id as ${idText(twin.path)}`)
    else if (other)
      refuse(one.path, `its id ${idText(one.id)} does not go with that of ${idText(other.path)}`)
    else keep(one, found, folders)
  }
  // Nothing else was named: that is no put of which a part could be done.
  if (found.size === 0 && over.length === 1 && over[0]?.path === paths[0] && paths.length === 1)
    throw new Complaint(`${idText(over[0]?.path ?? '')}: ${over[0]?.why}`, exitCodes.failed)
  for (const { path, why } of over) passedOver(out, summary, path, why)
  summary.files = found.size
  for (const { size } of found.values()) summary.bytes += size
  if (found.size === 0 && over.length === 0) out.note('there are no files there')
  return [...found.values()]
}

function keep(
  file: FoundFile,
  found: Map<string, FoundFile>,
  folders: Map<string, FoundFile>,
): void {
  found.set(file.id, file)
  for (const folder of foldersOf(file.id)) {
    // Its own folders are there already, too.
    if (folders.has(folder)) break
    folders.set(folder, file)
  }
}

const above = (id: string, found: ReadonlyMap<string, FoundFile>): FoundFile | undefined => {
  for (const folder of foldersOf(id)) {
    const file = found.get(folder)
    if (file) return file
  }
  return undefined
}

/** `a/b/c` lies in `a/b` and in `a`. */
function* foldersOf(id: string): Generator<string> {
  for (let at = id.lastIndexOf('/'); at > 0; at = id.lastIndexOf('/', at - 1)) yield id.slice(0, at)
}
