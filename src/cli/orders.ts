/** Changes that two people must want: the order as a file, `colonnade approve` and `colonnade perform`. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { survey } from '../client/list.ts'
import { remove } from '../client/remove.ts'
import { limits } from '../limits.ts'
import { uuid7 } from '../post/compose.ts'
import {
  approveOrder,
  type ChangeOrder,
  type OpenedOrder,
  openOrder,
  writeOrder,
} from '../protocol/orders.ts'
import { mayApprove } from '../protocol/permissions.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import { formatBytes } from '../world/units.ts'
import { digestOf } from '../world/world.ts'
import { confirmed } from './asked.ts'
import { type DeleteOptions, outcomeCode, tellOne } from './delete.ts'
import type { Desk } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, idText, reasonOf } from './output.ts'
import { looked, namedPillars, replace } from './replace.ts'

/** Whether one person alone can not change anything there. */
export const wantsTwo = ({ client }: Pick<Desk, 'client'>, collection: string): boolean =>
  (client.directory.collection(collection)?.approvals ?? 1) > 1

interface Asked extends DeleteOptions {
  /** Where the order is to lie. */
  readonly folder: string
}

export function orderDelete(
  desk: Desk,
  collection: string,
  id: string,
  { checksum = '', pillar = [], note, folder }: Asked,
): ExitCode {
  const pillars = [...namedPillars(desk, collection, pillar)]
  const files = [{ id, checksum: checksum.toLowerCase() }]
  return writeRequest(desk, { collection, operation: 'delete', pillars, files, note }, folder)
}

export async function orderReplace(
  desk: Desk,
  collection: string,
  id: string,
  path: string,
  { checksum: old = '', pillar = [], note, folder }: Asked,
): Promise<ExitCode> {
  const pillars = [...namedPillars(desk, collection, pillar)]
  const { stat, checksum } = await looked(desk, path)
  const replacement = { size: stat.size, checksum }
  const files = [{ id, checksum: old.toLowerCase(), replacement }]
  return writeRequest(desk, { collection, operation: 'replace', pillars, files, note }, folder)
}

type Wanted = Pick<ChangeOrder, 'collection' | 'operation' | 'pillars' | 'files' | 'note'>

/** Writes what is wanted as a file in this folder, signed by us, for another one to approve. */
function writeRequest(desk: Desk, wanted: Wanted, folder: string): ExitCode {
  const { client, out } = desk
  const { world, name, signer, directory } = client
  const now = world.clock.now()
  const order: ChangeOrder = {
    ...{ type: 'ChangeOrder', archive: directory.document().archive, order: uuid7(world) },
    ...{ ...wanted, from: name },
    ...{ madeAt: timeText(now), expiresAt: timeText(now + limits.orderMsMax) },
  }
  const text = writeOrder(order, signer)
  const reference = referenceOf(desk, text)
  const path = join(folder, `${wanted.operation}-${reference}.order`)
  writeFileSync(path, text, { flag: 'wx', mode: 0o600 })
  out.object({ order: path, reference, expiresAt: order.expiresAt })
  out.line(`two people must want this in ${wanted.collection}: nothing is done yet`)
  out.line(`the order is ${idText(path)}, reference ${reference}, good until ${order.expiresAt}`)
  out.line('give it to another one, who says: colonnade approve FILE')
  out.line(
    `then either of you: colonnade perform FILE${wanted.operation === 'replace' ? ' PATH' : ''}`,
  )
  return exitCodes.done
}

/** Short enough to be told by telephone: the beginning of the digest of what is signed. */
const referenceOf = ({ client }: Desk, text: string): string =>
  digestOf(client.world, text.split('\n', 1)[0] ?? '').slice(0, 8)

/** Shows exactly what would be done, and signs that when whoever sits there says so. */
export async function approve(
  desk: Desk,
  path: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  const { client, out, signal } = desk
  const { text, opened } = read(desk, path)
  const { order, signers } = opened
  if (signers.some(({ name }) => name === client.name))
    throw new Complaint(
      `${client.name} has signed this order already`,
      exitCodes.failed,
      'another one must approve it: `colonnade collection show` names who may',
    )
  if (!mayApprove(client.directory.document(), client.name, order.collection))
    throw new Complaint(
      `${client.name} may approve nothing in ${order.collection}`,
      exitCodes.failed,
      `the owner makes it an approver: \`colonnade permit ${client.name} approver\``,
    )
  await show(desk, text, opened)
  if (!options.yes) {
    const yes = await confirmed('Do you want this, too?', signal)
    if (!yes)
      throw new Complaint('nothing was signed', exitCodes.failed, '--yes signs without a question')
  }
  const signed = approveOrder(text, client.signer)
  writeFileSync(`${path}.new`, signed, { flush: true, mode: 0o600 })
  renameSync(`${path}.new`, path)
  out.object({ approved: path, by: client.name })
  out.line(`${client.name} has signed it: \`colonnade perform\` does it now`)
  return exitCodes.done
}

/** Every file, what the pillars have of it now, and who wants it gone. */
async function show(desk: Desk, text: string, { order, signers }: OpenedOrder): Promise<void> {
  const { client, out, signal } = desk
  const { collection, operation, files, pillars, note } = order
  const ids = files.map(({ id }) => id)
  const { files: found } = await survey(client, collection, { ids }, signal)
  const names = signers.map(({ name }) => name).join(', ')
  out.object({ ...order, reference: referenceOf(desk, text), signedBy: names })
  out.line(`${names} ${signers.length === 1 ? 'wants' : 'want'} to ${operation} in ${collection}:`)
  for (const { id, checksum, replacement } of files) {
    const there = found.get(id)
    const same = there?.checksum === checksum ? there : undefined
    const size = same ? `, ${formatBytes(same.size)}, on ${same.pillars.join(', ')}` : ''
    out.line(`  ${idText(id)} (${checksum}${size})`)
    if (!same) out.line('    no pillar has these bytes now')
    if (replacement)
      out.line(`    by ${formatBytes(replacement.size)} with checksum ${replacement.checksum}`)
  }
  out.line(`from these pillars: ${pillars.join(', ')}`)
  if (note !== undefined) out.line(`because: ${note}`)
  out.line(`reference ${referenceOf(desk, text)}, good until ${order.expiresAt}`)
}

/** Does what two people have signed. */
export async function perform(
  desk: Desk,
  path: string,
  bytes: string | undefined,
  options: { readonly quiet?: boolean; readonly json?: boolean },
): Promise<ExitCode> {
  const { client, signal } = desk
  const { text, opened } = read(desk, path)
  const { collection, operation, files, pillars, note } = opened.order
  if (opened.signers.length < 2)
    throw new Complaint(
      'nobody has approved this order yet',
      exitCodes.failed,
      'another one says `colonnade approve FILE`',
    )
  const codes: ExitCode[] = []
  for (const { id, checksum, replacement } of files) {
    if (operation === 'delete') {
      const done = await remove(client, collection, { id, checksum }, pillars, signal, text)
      for (const one of done) tellOne(desk, one, 'deleted')
      codes.push(outcomeCode(done))
    } else {
      if (bytes === undefined)
        throw new Complaint(
          'name the file with the new bytes',
          exitCodes.usage,
          'perform FILE PATH',
        )
      const noted = note === undefined ? {} : { note }
      const about = { ...options, ...noted, checksum, pillar: pillars, order: text, replacement }
      codes.push(await replace(desk, collection, id, bytes, about))
    }
  }
  return codes.find((code) => code !== exitCodes.done) ?? exitCodes.done
}

function read(desk: Desk, path: string): { readonly text: string; readonly opened: OpenedOrder } {
  const { client } = desk
  if (!existsSync(path))
    throw new Complaint(`${idText(path)}: there is no such file`, exitCodes.failed)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Complaint(`${idText(path)}: ${reasonOf(error)}`, exitCodes.failed)
  }
  const opened = openOrder(text, client.directory, client.keys)
  if (!opened)
    throw new Complaint(
      `${idText(path)} is no order, or was changed after it was signed`,
      exitCodes.failed,
    )
  const { archive, expiresAt } = opened.order
  if (archive !== client.directory.document().archive)
    throw new Complaint(`this order is for the archive ${archive}`, exitCodes.failed)
  if (timeValue(expiresAt) < client.world.clock.now())
    throw new Complaint(
      `this order was good until ${expiresAt}`,
      exitCodes.failed,
      'write another one',
    )
  return { text, opened }
}
