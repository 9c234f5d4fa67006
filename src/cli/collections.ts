/** `colonnade collections`: what is kept in the archive, and by which rules. */
import type { Collection } from '../protocol/document.ts'
import { type Desk, pillarsOf } from './desk.ts'
import { type ExitCode, exitCodes, many, table } from './output.ts'

export function collections(desk: Desk, name: string | undefined): ExitCode {
  const { client, out } = desk
  if (name !== undefined) pillarsOf(desk, name)
  const all = client.directory.document().collections
  const shown = all.filter((one) => name === undefined || one.name === name)
  const siteOf = (pillar: string): string | undefined => client.directory.identity(pillar)?.site
  for (const one of shown) {
    const pillars = one.pillars.map((pillar) => ({ pillar, site: siteOf(pillar) }))
    out.object({ ...one, pillars })
  }
  for (const line of table(shown.map((one) => rowOf(one, siteOf)))) out.line(line)
  if (shown.length === 0) out.note('this archive has no collection yet')
  return exitCodes.done
}

function rowOf(
  { name, pillars, copiesMin, algorithm }: Collection,
  siteOf: (pillar: string) => string | undefined,
): string[] {
  const where = pillars.map((pillar) => {
    const site = siteOf(pillar)
    return site === undefined ? pillar : `${pillar} (${site})`
  })
  const copies = many(copiesMin, 'copy', 'copies')
  return [name, `${pillars.length} pillars`, `safe at ${copies}`, algorithm, where.join(', ')]
}
