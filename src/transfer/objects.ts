/** Names and headers of objects on their way through an exchange. Pure. */
import { digestOf, type World } from '../world/world.ts'

export interface ObjectKey {
  /** The client that issued the token. */
  readonly issuer: string
  readonly name: string
}

/** The same bytes on the same way get the same name, so that a repeated command goes on with them. 22 characters. */
export const objectName = (world: Pick<World, 'hashing'>, ...parts: (string | number)[]): string =>
  // 22 hexadecimal digits: 88 bits against chance; the token, not the name, is what authorises.
  digestOf(world, parts.join('\0')).slice(0, 22)

export const objectPath = ({ issuer, name }: ObjectKey): string => `/objects/${issuer}/${name}`

export function parseObjectPath(path: string): ObjectKey | undefined {
  const match = /^\/objects\/([a-z0-9][a-z0-9-]{0,62})\/([A-Za-z0-9_-]{22})$/.exec(path)
  return match ? { issuer: match[1] ?? '', name: match[2] ?? '' } : undefined
}

/** `bytes=a-b` (RFC 9110 §14.1.2), one range only; undefined when it is anything else. */
export function parseRange(
  header: string,
): { first: number; last: number | undefined } | undefined {
  const match = /^bytes=(\d{1,16})-(\d{0,16})$/.exec(header)
  if (!match) return undefined
  const first = Number(match[1])
  const last = match[2] === '' ? undefined : Number(match[2])
  if (
    !Number.isSafeInteger(first) ||
    (last !== undefined && (!Number.isSafeInteger(last) || last < first))
  )
    return undefined
  return { first, last }
}

/** `bytes a-b/size` of an answer. */
export function parseContentRange(
  header: string | undefined,
): { first: number; last: number; size: number } | undefined {
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/.exec(header ?? '')
  if (!match) return undefined
  const [first, last, size] = match.slice(1).map(Number) as [number, number, number]
  return last >= first && size > last ? { first, last, size } : undefined
}

/** The size that an answer 416 tells after `bytes` and a star (RFC 9110 §14.4). */
export const parseUnsatisfied = (header: string | undefined): number | undefined =>
  parseCount(/^bytes \*\/(\d{1,16})$/.exec(header ?? '')?.[1])

/** A non-negative integer header; undefined when it is missing or anything else. */
export function parseCount(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d{1,16}$/.test(header)) return undefined
  const value = Number(header)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Structured-field booleans (RFC 9651 §3.3.6), as the resumable-upload draft uses them. */
export const flag = (value: boolean): string => (value ? '?1' : '?0')
