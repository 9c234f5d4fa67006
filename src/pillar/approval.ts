/**
 * Whether two people want what is to be destroyed, where the collection asks for that: by the signatures in the request, over
 * an order that says exactly this. Each order is run once here: it is bound to the version of the file that it met first.
 */
import { limits } from '../limits.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { type OpenedOrder, openOrder } from '../protocol/orders.ts'
import { mayApprove } from '../protocol/permissions.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import type { Desk } from './pillar.ts'

type Request = MessageOf<'DeleteFileRequest' | 'ReplaceFileRequest'>
type Parts = Pick<Desk, 'directory' | 'keys' | 'name' | 'state' | 'store' | 'world'>

/** A file that would go: which bytes, which version of them, and what comes instead. */
interface Going {
  readonly id: string
  readonly checksum: string
  readonly version: number
  readonly replacement?: { readonly size: number; readonly checksum: string }
}

const prefix = 'order '

/** Why this may not be run; undefined when it may, and then the order is bound to it, durably. */
export async function unapproved(parts: Parts, request: Request): Promise<string | undefined> {
  const { collection } = request
  if ((parts.directory.collection(collection)?.approvals ?? 1) < 2) return undefined
  if (request.order === undefined)
    return `two people must want this in ${collection}: \`colonnade delete\` and \`replace\` write an order, which another one approves`
  const opened = openOrder(request.order, parts.directory, parts.keys)
  if (!opened) return 'the order is damaged, or signed by nobody who is a member'
  return (
    secondFault(parts, request, opened) ??
    orderFault(parts, request, opened) ??
    (await bind(parts, request, opened))
  )
}

/** Whoever asks has signed it, and somebody else who may approve. */
function secondFault(
  { directory }: Parts,
  { from, collection }: Request,
  { signers }: OpenedOrder,
): string | undefined {
  if (!signers.some(({ name }) => name === from)) return `${from} has not signed the order`
  const document = directory.document()
  const second = signers.some(({ name }) => name !== from && mayApprove(document, name, collection))
  return second ? undefined : `nobody who may approve it in ${collection} has signed the order yet`
}

/** The order says the same as the request, for this pillar and for now. */
function orderFault(
  { directory, name, world }: Parts,
  request: Request,
  { order }: OpenedOrder,
): string | undefined {
  const { collection, type } = request
  const operation = type === 'DeleteFileRequest' ? 'delete' : 'replace'
  const isOther =
    order.archive !== directory.document().archive ||
    order.collection !== collection ||
    order.operation !== operation ||
    !order.pillars.includes(name)
  if (isOther) return 'the order is for something else'
  const now = world.clock.now()
  const until = timeValue(order.expiresAt)
  if (until < now)
    return `the order was good until ${order.expiresAt}; my clock says ${timeText(now)}`
  if (until > now + limits.orderMsMax + limits.skewMs)
    return 'the order would be good for longer than an order may be'
  const isNamed = goingOf(request).every((file) =>
    order.files.some(
      ({ id, checksum, replacement }) =>
        id === file.id &&
        checksum === file.checksum &&
        replacement?.checksum === file.replacement?.checksum &&
        replacement?.size === file.replacement?.size,
    ),
  )
  return isNamed ? undefined : 'the order is for other files'
}

const goingOf = (request: Request): readonly Going[] =>
  request.type === 'DeleteFileRequest'
    ? request.files
    : request.files.map(({ id, size, checksum, replaces }) => ({
        ...{ id, ...replaces },
        replacement: { size, checksum },
      }))

/** What was run does not run again: bytes that came back since then have another version. */
async function bind(
  { state, store }: Parts,
  request: Request,
  { order }: OpenedOrder,
): Promise<string | undefined> {
  const going = goingOf(request)
  const keyOf = ({ id }: Going): string => `${prefix}${order.order} ${id}`
  const versions = await store.versions(
    request.collection,
    going.map(({ id }) => id),
  )
  const fresh: [string, string][] = []
  for (const [n, file] of going.entries()) {
    const bound = await state.get(keyOf(file))
    if (bound !== undefined && (JSON.parse(bound) as Bound).version !== file.version)
      return 'the order was run here already'
    const now: Bound = { version: file.version, until: timeValue(order.expiresAt) }
    if (bound === undefined && versions[n] === file.version)
      fresh.push([keyOf(file), JSON.stringify(now)])
  }
  if (fresh.length > 0) await state.change(fresh)
  return undefined
}

interface Bound {
  readonly version: number
  /** Milliseconds since 1970. */
  readonly until: number
}

/** Orders that have been over for so long that no clock that is trusted would run them again. */
export async function forgetOrders(state: State, now: number): Promise<void> {
  const old = (await state.list(prefix)).filter(
    ([, bound]) => (JSON.parse(bound) as Bound).until + limits.orderKeptMs < now,
  )
  if (old.length > 0) await state.change(old.map(([key]) => [key, undefined]))
}
