/** `colonnade revoke`: the owner turns a member out, from wherever his key is. */
import { withoutMember } from '../protocol/document.ts'
import { timeText } from '../protocol/scalars.ts'
import { couldRead } from '../setup/revoke.ts'
import { ownerOf, published } from './collection.ts'
import type { Desk } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, reasonOf } from './output.ts'

export async function revokeMember(
  desk: Desk,
  name: string,
  options: { readonly ownerKey?: string },
): Promise<ExitCode> {
  const { client, out } = desk
  const document = client.directory.document()
  const owner = ownerOf(desk, options.ownerKey ?? desk.ownerKey)
  let next: typeof document
  try {
    next = withoutMember(document, name, timeText(client.world.clock.now()))
  } catch (error) {
    const names = document.identities.map((one) => one.name).join(', ')
    throw new Complaint(reasonOf(error), exitCodes.failed, `the members are: ${names}`)
  }
  await published(desk, next, owner)
  out.object({ revoked: name, couldRead: couldRead(document, name) })
  out.line(`${name} is revoked; the tracker tells everybody now`)
  for (const line of couldRead(document, name)) out.line(line)
  return exitCodes.done
}
