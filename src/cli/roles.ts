/** Who is what in a collection, for people. */
import type { ArchiveDocument } from '../protocol/document.ts'
import { rolesOf } from '../protocol/permissions.ts'

/** Clients of a collection and what they are there, a line each. */
export const rolesIn = (document: ArchiveDocument, collection: string): string[] =>
  document.permissions === undefined
    ? []
    : document.identities.flatMap(({ name, role }) => {
        const has = rolesOf(document, name, collection)
        return role === 'client' && has.length > 0 ? [`${name} is ${has.join(' and ')}`] : []
      })
