/** Where a changed file goes when both are kept. */
import { limits } from '../limits.ts'
import { bytesOf } from '../protocol/scalars.ts'

/** `a/b.jpg`, changed at some time, becomes `a/b (2026-11-22 101112).jpg`; always the same for the same change. */
export function besideId(id: string, mtime: number): string {
  const time = new Date(mtime).toISOString().replace(/\.\d+Z$/, '')
  const stamp = ` (${time.replace('T', ' ').replaceAll(':', '')})`
  const slash = id.lastIndexOf('/') + 1
  const dot = id.lastIndexOf('.')
  // A name that begins with its only dot has no ending.
  const at = dot > slash ? dot : id.length
  const ending = bytesOf(id.slice(at)) > 32 ? '' : id.slice(at)
  const stem = ending === '' ? id.slice(slash) : id.slice(slash, at)
  const folder = id.slice(0, slash)
  const room = Math.min(limits.componentBytesMax, limits.fileIdBytesMax - bytesOf(folder))
  return `${folder}${shortened(stem, room - bytesOf(stamp) - bytesOf(ending))}${stamp}${ending}`
}

/** No more than so many bytes, and no half characters. */
function shortened(text: string, bytesMax: number): string {
  let bytes = 0
  let kept = ''
  for (const character of text) {
    bytes += bytesOf(character)
    if (bytes > bytesMax) break
    kept += character
  }
  return kept
}
