/** The words of the protocol: what a name, a file id, a checksum or a time may look like. */
import * as v from 'valibot'
import { limits } from '../limits.ts'

const utf8 = new TextEncoder()
export const bytesOf = (text: string): number => utf8.encode(text).length

/** Archives, collections, identities, sites: they become topics and certificate names. */
export const Name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'not a name'))

export const isName = (text: string): boolean => v.is(Name, text)

/** Why a text can not be a file id, or undefined when it can. */
export function fileIdFault(id: string): string | undefined {
  if (id === '') return 'an empty file id'
  if (!id.isWellFormed()) return 'a file id that is not Unicode text'
  if (id.includes('\0')) return 'a NUL in a file id'
  if (bytesOf(id) > limits.fileIdBytesMax)
    return `a file id of more than ${limits.fileIdBytesMax} bytes`
  for (const component of id.split('/')) {
    if (component === '') return 'a file id with an empty component'
    if (component === '.' || component === '..') return `a file id with the component ${component}`
    if (bytesOf(component) > limits.componentBytesMax)
      return `a component of more than ${limits.componentBytesMax} bytes in a file id`
  }
  return undefined
}

export const FileId = v.pipe(
  v.string(),
  v.check(
    (id) => fileIdFault(id) === undefined,
    (issue) => fileIdFault(String(issue.input)) ?? '',
  ),
)
export const Bytes = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
export const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
export const Checksum = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in hexadecimal'),
)
export const Uuid = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'not a UUID'),
)
export const Text = v.pipe(v.string(), v.maxLength(2_000))

/** What a pillar keeps of a file: the file, or its checksum only, which gives nobody his bytes back. */
export const PillarKind = v.picklist(['file', 'checksum'])
export type PillarKind = v.InferOutput<typeof PillarKind>

/** A moment as ISO 8601 in UTC with milliseconds, e.g. `2026-11-22T10:00:00.000Z`. */
export const Time = v.pipe(
  v.string(),
  v.regex(/^([+-]\d{6}|\d{4})-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'not a time in UTC'),
  v.check((text) => !Number.isNaN(timeValue(text)), 'not a time'),
)
// biome-ignore lint/style/noRestrictedGlobals: converts only, no clock is read
export const timeText = (ms: number): string => new Date(ms).toISOString()
// biome-ignore lint/style/noRestrictedGlobals: converts only, no clock is read
export const timeValue = (text: string): number => Date.parse(text)
