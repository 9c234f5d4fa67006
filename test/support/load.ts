/** Loads of small files: what a command said to be stored of them, and whether it is. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Archive, collection, type PillarName, pillarNames } from './archive.ts'
import { sha256, snapshot, writeNoise } from './files.ts'
import { until } from './until.ts'

export function makeFiles(folder: string, count: number, random: () => number): void {
  mkdirSync(folder, { recursive: true })
  for (let n = 0; n < count; n++) writeNoise(join(folder, `file-${n}`), random() % 20_000, random())
}

export interface Acknowledged {
  readonly id: string
  readonly copies: readonly PillarName[]
}

/** What the lines that were printed say to be stored, and where. */
export const acknowledged = (objects: readonly Record<string, unknown>[]): Acknowledged[] =>
  objects
    .filter(({ outcome }) => outcome === 'stored')
    .map(({ id, copies }) => ({ id: `${id}`, copies: copies as PillarName[] }))

export const dataOf = (archive: Archive, pillar: PillarName): string =>
  join(archive.volume(pillar), collection, 'data')

/** Which of the copies that were confirmed are not there, or hold other bytes than the source. */
export function lost(archive: Archive, all: readonly Acknowledged[]): string[] {
  return all.flatMap(({ id, copies }) => {
    const digest = sha256(join(archive.home, id))
    const isThere = (path: string): boolean => existsSync(path) && sha256(path) === digest
    return copies
      .filter((pillar) => !isThere(join(dataOf(archive, pillar), id)))
      .map((pillar) => `${id} on ${pillar}`)
  })
}

/** Until a command has put it all, and all pillars have it; every end before is definite. */
export async function putAll(archive: Archive, folder: string): Promise<void> {
  const command = ['put', collection, join(archive.home, folder), '--as', folder, '--wait', 'all']
  for (let tries = 1; ; tries++) {
    const { code, errors } = await (await archive.colonnade(command)).ended
    if (code === 0) break
    if (tries === 3) throw new Error(`not stored: ${errors}`)
  }
  const count = (path: string): number =>
    existsSync(path) ? readdirSync(path, { recursive: true }).length : 0
  const files = count(join(archive.home, folder))
  for (const name of pillarNames)
    await until(
      `${name} has all of ${folder}`,
      () => count(join(dataOf(archive, name), folder)) === files,
    )
}

export const sameEverywhere = (archive: Archive, folder: string): boolean[] => {
  const source = JSON.stringify(snapshot(join(archive.home, folder)))
  return pillarNames.map(
    (name) => JSON.stringify(snapshot(join(dataOf(archive, name), folder))) === source,
  )
}
