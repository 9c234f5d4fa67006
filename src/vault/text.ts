/**
 * What the catalogue says of one id, as the pillars keep it: lines of text that people can read and that
 * `assemble.sh` understands. A name stands as it is, but for control characters and backslashes: those are `\0` and
 * three octal digits, which `printf %b` of every shell turns back (POSIX.1-2017, printf).
 */
import type { Fragment } from '../protocol/fragments.ts'
import { bytesOf, fileIdFault, timeText, timeValue } from '../protocol/scalars.ts'
import type { Entry } from '../view/view.ts'
import { digestOf, type World } from '../world/world.ts'

export interface Told {
  readonly collection: string
  readonly id: string
  /** The greater one is the newer. */
  readonly version: number
  readonly state: 'stored' | 'deleted'
  readonly size: number
  readonly checksum: string
  /** Milliseconds since 1970. */
  readonly mtime: number
  /** In the order in which they stand in the file; none of a deleted one. */
  readonly slices: readonly Pick<Fragment, 'hash' | 'size'>[]
}

const first = 'colonnade file 1'
const last = 'end'

const escaped = (name: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  name.replace(/[\u0000-\u001f\u007f\\]/g, (one) => `\\0${octal(one.charCodeAt(0))}`)
const octal = (code: number): string => code.toString(8).padStart(3, '0')
const unescaped = (name: string): string =>
  name.replace(/\\0([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )

export const tell = (told: Told): string =>
  [
    first,
    `collection ${told.collection}`,
    `name ${escaped(told.id)}`,
    `version ${told.version}`,
    `state ${told.state}`,
    `size ${told.size}`,
    `sha256 ${told.checksum}`,
    `mtime ${timeText(told.mtime)}`,
    ...told.slices.map(({ hash, size }) => `fragment ${hash} ${size}`),
    last,
    '',
  ].join('\n')

/** Undefined when it is none of our texts, or not all of it. */
export function understood(text: string): Told | undefined {
  const [head, ...lines] = text.split('\n')
  if (head !== first || lines.pop() !== '' || lines.pop() !== last) return undefined
  const said = new Map<string, string>()
  const slices: { hash: string; size: number }[] = []
  for (const line of lines) {
    const at = line.indexOf(' ')
    const [key, value] = [line.slice(0, at), line.slice(at + 1)]
    const slice = key === 'fragment' ? /^([0-9a-f]{64}) (\d{1,15})$/.exec(value) : undefined
    if (slice) slices.push({ hash: slice[1] ?? '', size: Number(slice[2]) })
    else if (key === 'fragment' || said.has(key)) return undefined
    else said.set(key, value)
  }
  const [collection, name, state] = [said.get('collection'), said.get('name'), said.get('state')]
  const [version, size] = [countOf(said.get('version')), countOf(said.get('size'))]
  const [checksum = '', mtime = ''] = [said.get('sha256'), said.get('mtime')]
  if (collection === undefined || name === undefined || version === undefined) return undefined
  if (size === undefined || !/^[0-9a-f]{64}$/.test(checksum)) return undefined
  if (!/^([+-]\d{6}|\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(mtime)) return undefined
  const id = unescaped(name)
  if (fileIdFault(id) !== undefined) return undefined
  if (state !== 'stored' && state !== 'deleted') return undefined
  if (state === 'stored' && slices.reduce((sum, one) => sum + one.size, 0) !== size)
    return undefined
  const about = { collection, id, version, size, checksum, slices }
  return { ...about, state, mtime: timeValue(mtime) }
}

const countOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined

/** As the view notes it, and pillars keep it. */
export function entryOf(world: Pick<World, 'hashing'>, told: Told): Entry {
  const { collection, id, version } = told
  const text = tell(told)
  const fragment = { hash: digestOf(world, text), size: bytesOf(text), kind: 'info' } as const
  return { collection, id, version, text, fragment }
}
