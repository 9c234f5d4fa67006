/** What was named on the command line, as the archive has it. */
import { type Known, type ListQuery, survey } from '../client/list.ts'
import { fileIdFault } from '../protocol/scalars.ts'
import { type Desk, nobodyAnswered, pillarsOf } from './desk.ts'
import { Complaint, exitCodes, idText } from './output.ts'

export interface Chosen {
  /** In the order of their ids. */
  readonly files: readonly Known[]
  /** Names of which no pillar that answered has anything. */
  readonly missing: readonly string[]
}

/** Ids, folders with a slash behind them, or everything; all from one pillar when it is named. */
export async function chosen(
  desk: Desk,
  collection: string,
  names: readonly string[] | 'all',
  pillar?: string,
): Promise<Chosen> {
  const files = new Map<string, Known>()
  for (const query of queriesFor(names))
    for (const known of await ask(desk, collection, query, pillar)) files.set(known.id, known)
  const found = byId(files.values())
  const ids = found.map(({ id }) => id)
  return { files: found, missing: names === 'all' ? [] : missingOf(names, ids) }
}

/** Throws a complaint about a name that no archive can have. */
export function checkName(name: string): void {
  const fault = fileIdFault(name.replace(/\/$/, ''))
  if (fault === undefined) return
  throw new Complaint(
    `${name === '' ? 'an empty name' : idText(name)} can not be in an archive: ${fault}`,
    exitCodes.usage,
    'name it as `colonnade ls` shows it; a folder with a slash behind it',
  )
}

export function queriesFor(names: readonly string[] | 'all'): ListQuery[] {
  if (names === 'all') return [{}]
  const ids = names.filter((name) => !name.endsWith('/'))
  const prefixes = names.filter((name) => name.endsWith('/'))
  return [...(ids.length > 0 ? [{ ids }] : []), ...prefixes.map((prefix) => ({ prefix }))]
}

/** Asks the pillars; who did not answer is said, and when nobody did that is the end. */
export const ask = async (...asking: Parameters<typeof askWhole>): Promise<readonly Known[]> =>
  (await askWhole(...asking)).files

/** The same, and which pillars did not answer. */
export async function askWhole(
  desk: Desk,
  collection: string,
  query: ListQuery,
  pillar?: string,
): Promise<{ readonly files: readonly Known[]; readonly silent: readonly string[] }> {
  const { client, out, signal } = desk
  const pillars = pillarsOf(desk, collection, pillar)
  const { files, silent } = await survey(client, collection, query, signal, pillars)
  if (silent.length === pillars.length) throw nobodyAnswered(desk, collection)
  if (silent.length > 0) out.note(`without ${silent.join(', ')}, which did not answer`)
  // What comes from outside is no path until it is known to stay below ours.
  const named = [...files.values()].filter(({ id }) => fileIdFault(id) === undefined)
  return { files: named, silent }
}

export const byId = (files: Iterable<Known>): Known[] =>
  [...files].sort((a, b) => (a.id < b.id ? -1 : 1))

/** Names under which nothing was found. */
export function missingOf(names: readonly string[], found: readonly string[]): string[] {
  const ids = new Set(found)
  const missing = (name: string): boolean =>
    name.endsWith('/') ? !found.some((id) => id.startsWith(name)) : !ids.has(name)
  return names.filter(missing)
}
