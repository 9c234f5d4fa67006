/** `colonnade members` and `permit`: who is in the archive, and who may do what. */
import type { ArchiveDocument } from '../protocol/document.ts'
import {
  approverText,
  approving,
  everyCollection,
  permitted,
  type Role,
  roleTexts,
} from '../protocol/permissions.ts'
import { ownerOf, published } from './collection.ts'
import { type Desk, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, table } from './output.ts'

export function showMembers({ client, out }: Desk): ExitCode {
  const document = client.directory.document()
  const rows = document.identities.map((one) => {
    const can = one.role === 'client' ? permissionsOf(document, one.name) : []
    out.object({ name: one.name, role: one.role, site: one.site, permissions: can })
    const approves = (document.approvers ?? []).filter(({ identity }) => identity === one.name)
    const shown = [
      ...can.map(({ collection, role }) => `${role} of ${collection}`),
      ...approves.map(({ collection }) => `approver of ${collection}`),
    ].join(', ')
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

export type PermitRole = Role | 'approver' | 'none'

/** With the role in one collection; an approver keeps the role that he has beside it. */
export function given(
  document: ArchiveDocument,
  name: string,
  collection: string,
  role: PermitRole,
): ArchiveDocument {
  if (role === 'approver') return approving(document, name, collection, true)
  if (role !== 'none') return permitted(document, name, collection, role)
  const without = permitted(document, name, collection, undefined)
  return approving(without, name, collection, false)
}

/** The owner gives somebody a role, or takes it (`none`). */
export async function permit(
  desk: Desk,
  name: string,
  role: PermitRole,
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
  const next = collection.reduce((before, one) => given(before, name, one, role), document)
  await published(desk, next, owner)
  const where = collection.map((one) => (one === everyCollection ? 'all collections' : one))
  out.line(
    role === 'none'
      ? `${name} has no role of its own for ${where.join(', ')} any more`
      : `${name} is ${role} of ${where.join(', ')}: ${role === 'approver' ? approverText : roleTexts[role]}`,
  )
  out.object({ member: name, role, collections: collection })
  return exitCodes.done
}
