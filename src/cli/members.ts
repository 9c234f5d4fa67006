/** `colonnade members` and `permit`: who is in the archive, and who may do what. */
import type { ArchiveDocument } from '../protocol/document.ts'
import { everyCollection, permitted, type Role, roleTexts } from '../protocol/permissions.ts'
import { ownerOf, published } from './collection.ts'
import { type Desk, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, table } from './output.ts'

export function showMembers({ client, out }: Desk): ExitCode {
  const document = client.directory.document()
  const rows = document.identities.map((one) => {
    const can = one.role === 'client' ? permissionsOf(document, one.name) : []
    out.object({ name: one.name, role: one.role, site: one.site, permissions: can })
    const shown = can.map(({ collection, role }) => `${role} of ${collection}`).join(', ')
    const open = document.permissions === undefined ? 'curator of all collections' : 'no permission'
    return [one.name, one.role, one.site ?? '', one.role === 'client' ? shown || open : '']
  })
  for (const line of table(rows)) out.line(line)
  for (const { name, at } of document.revoked ?? []) out.note(`revoked: ${name}, on ${at}`)
  return exitCodes.done
}

const permissionsOf = ({ permissions = [] }: ArchiveDocument, name: string) =>
  permissions.filter(({ identity }) => identity === name)

export interface PermitOptions {
  readonly collection?: readonly string[]
  readonly ownerKey?: string
}

/** The owner gives somebody a role, or takes it (`none`). */
export async function permit(
  desk: Desk,
  name: string,
  role: Role | 'none',
  { collection = [everyCollection], ownerKey }: PermitOptions,
): Promise<ExitCode> {
  const { client, out } = desk
  const document = client.directory.document()
  const clients = document.identities.filter((one) => one.role === 'client')
  if (!clients.some((one) => one.name === name))
    throw new Complaint(
      `${name} is no client of this archive`,
      exitCodes.failed,
      `they are: ${clients.map((one) => one.name).join(', ')}`,
    )
  for (const one of collection) if (one !== everyCollection) pillarsOf(desk, one)
  const owner = ownerOf(desk, ownerKey ?? desk.ownerKey)
  const given = role === 'none' ? undefined : role
  const next = collection.reduce((before, one) => permitted(before, name, one, given), document)
  await published(desk, next, owner)
  const where = collection.map((one) => (one === everyCollection ? 'all collections' : one))
  out.line(
    given === undefined
      ? `${name} has no role of its own for ${where.join(', ')} any more`
      : `${name} is ${given} of ${where.join(', ')}: ${roleTexts[given]}`,
  )
  out.object({ member: name, role, collections: collection })
  return exitCodes.done
}
