/** Who may do what with which collection. Where the document says nothing of it, clients may do everything, as ever. */
import * as v from 'valibot'
import type { ArchiveDocument } from './document.ts'
import type { RequestMessage } from './messages.ts'
import { Name } from './scalars.ts'

export const Role = v.picklist(['depositor', 'curator', 'operator'])
export type Role = v.InferOutput<typeof Role>
export const roles = Role.options

/** What a role is good for, as people are told it. */
export const roleTexts: Readonly<Record<Role, string>> = {
  depositor: 'puts and gets',
  curator: 'puts and gets, replaces and deletes',
  operator: 'lists and verifies, but gets no contents',
}

/** What somebody may do beside his role. */
export const approverText = 'approves what others want to replace or delete'

export const everyCollection = '*'
export const Permission = v.object({
  identity: Name,
  /** `*` for all. */
  collection: v.union([Name, v.literal(everyCollection)]),
  role: Role,
})
export type Permission = v.InferOutput<typeof Permission>

/**
 * May approve what others want to replace or delete, and list. Beside the permissions, not one of them: pillars of older
 * releases pass over it.
 */
export const Approver = v.object({ identity: Name, collection: Permission.entries.collection })
export type Approver = v.InferOutput<typeof Approver>

export type Right = 'list' | 'get' | 'put' | 'change'

const rights: Readonly<Record<Role, readonly Right[]>> = {
  depositor: ['list', 'get', 'put'],
  curator: ['list', 'get', 'put', 'change'],
  operator: ['list'],
}

/** The right that a request needs; all that is not named here only looks. */
export function rightFor(type: RequestMessage['type']): Right {
  switch (type) {
    case 'IdentifyPillarsForPutFileRequest':
    case 'PutFileRequest':
    case 'DeliverOwedCopiesRequest':
      return 'put'
    case 'IdentifyPillarsForGetFileRequest':
    case 'GetFileRequest':
      return 'get'
    case 'IdentifyPillarsForReplaceFileRequest':
    case 'ReplaceFileRequest':
    case 'IdentifyPillarsForDeleteFileRequest':
    case 'DeleteFileRequest':
    case 'RestoreRetainedRequest':
      return 'change'
    default:
      return 'list'
  }
}

/** What this client is in a collection: what is said for it, else what is said for all. */
export function rolesOf(
  { permissions = [] }: Pick<ArchiveDocument, 'permissions'>,
  identity: string,
  collection: string,
): Role[] {
  const mine = permissions.filter((one) => one.identity === identity)
  const own = mine.filter((one) => one.collection === collection)
  const said = own.length > 0 ? own : mine.filter((one) => one.collection === everyCollection)
  return said.map(({ role }) => role)
}

const isApprover = (
  { approvers = [] }: Pick<ArchiveDocument, 'approvers'>,
  identity: string,
  collection: string,
): boolean =>
  approvers.some(
    (one) =>
      one.identity === identity &&
      (one.collection === collection || one.collection === everyCollection),
  )

/** Whether this client may be the second one to want something changed: an approver, or a curator. */
export function mayApprove(
  document: ArchiveDocument,
  identity: string,
  collection: string,
): boolean {
  const { role } = document.identities.find(({ name }) => name === identity) ?? {}
  if (role !== 'client') return false
  if (document.permissions === undefined || isApprover(document, identity, collection)) return true
  return rolesOf(document, identity, collection).includes('curator')
}

/** Why somebody may not ask this; undefined when he may. Pillars may ask nothing, the tracker destroys nothing. */
export function forbidden(
  document: ArchiveDocument,
  identity: string,
  collection: string,
  type: RequestMessage['type'],
): string | undefined {
  const right = rightFor(type)
  const { role } = document.identities.find(({ name }) => name === identity) ?? {}
  const { appendOnly } = document.collections.find(({ name }) => name === collection) ?? {}
  if (appendOnly === true && right === 'change' && type !== 'RestoreRetainedRequest')
    return `to ${collection} files are only added: nothing is replaced or deleted`
  if (role === 'tracker') return right === 'change' ? 'the tracker destroys nothing' : undefined
  if (role !== 'client') return `${identity} may ask nothing`
  if (document.permissions === undefined) return undefined
  const has = rolesOf(document, identity, collection)
  if (has.some((one) => rights[one].includes(right))) return undefined
  if (right === 'list' && isApprover(document, identity, collection)) return undefined
  const [one] = has
  if (one === undefined) return `${identity} has no permission for ${collection}`
  return `${identity} is ${one} of ${collection}: ${roleTexts[one]}, no more`
}

/** With another role for somebody; without any when it is undefined. What nobody had said before is now said for all. */
export function permitted(
  document: ArchiveDocument,
  identity: string,
  collection: string,
  role: Role | undefined,
): ArchiveDocument {
  const before = document.permissions ?? document.identities.flatMap(asEver)
  const others = before.filter(
    (one) => !(one.identity === identity && one.collection === collection),
  )
  const more = role === undefined ? [] : [{ identity, collection, role }]
  return { ...document, permissions: [...others, ...more] }
}

/** With somebody as approver, or not any more. What nobody had said of roles stays unsaid. */
export function approving(
  document: ArchiveDocument,
  identity: string,
  collection: string,
  may: boolean,
): ArchiveDocument {
  const others = (document.approvers ?? []).filter(
    (one) => !(one.identity === identity && one.collection === collection),
  )
  if (!may && document.approvers === undefined) return document
  return { ...document, approvers: may ? [...others, { identity, collection }] : others }
}

const asEver = ({ name, role }: ArchiveDocument['identities'][number]): Permission[] =>
  role === 'client' ? [{ identity: name, collection: everyCollection, role: 'curator' }] : []
