/** The audit trails of pillars, verified entry by entry as they come. */
import { auditSubstance, noAuditHash } from '../index/index.ts'
import { compose } from '../post/compose.ts'
import type { Chain, TrailItem } from '../protocol/audit.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import { digestOf, type World } from '../world/world.ts'
import { askOne } from './ask.ts'
import { type Client, Unable } from './client.ts'
import { identify } from './identify.ts'
import { common } from './pages.ts'

export interface TrailQuery {
  readonly fileId?: string
  /** Milliseconds since 1970, inclusive. */
  readonly since?: number
  readonly until?: number
}

/** One thing that is learnt of one pillar, in the order in which it is learnt. */
export type Learnt = { readonly pillar: string } & (
  | {
      readonly is: 'entries'
      readonly entries: readonly TrailItem[]
      /** The first of them that was tampered with, or does not follow on the one before. */
      readonly brokenAt?: number
    }
  /** The verdict on the whole chain, whatever was asked for: by the pillar, and by what we have seen of it. */
  | { readonly is: 'chain'; readonly chain: Chain }
  | { readonly is: 'silent'; readonly why: string }
)

/**
 * The trails of all pillars of the collection, or of those named: one pillar after the other, page by page, so that
 * nothing but a page is in memory. Each pillar ends with its chain, or with why it is silent.
 */
export async function* audit(
  client: Client,
  collection: string,
  query: TrailQuery,
  signal: AbortSignal,
  only?: readonly string[],
): AsyncGenerator<Learnt> {
  const pillars = only ?? client.policy(collection).pillars
  const type = 'IdentifyContributorsForGetAuditTrailsRequest' as const
  const request = compose<typeof type>(client.world, client.name, {
    type,
    ...common(client, collection),
  })
  const answers = await identify(client, request, pillars, signal)
  for (const pillar of pillars) {
    if (!answers.has(pillar)) {
      yield { pillar, is: 'silent', why: `${pillar} did not answer` }
      continue
    }
    try {
      yield* auditOne(client, collection, pillar, query, signal)
    } catch (error) {
      if (!(error instanceof Unable)) throw error
      yield { pillar, is: 'silent', why: error.message }
    }
  }
}

async function* auditOne(
  client: Client,
  collection: string,
  pillar: string,
  query: TrailQuery,
  signal: AbortSignal,
): AsyncGenerator<Learnt> {
  const ask = async (more: Partial<MessageOf<'GetAuditTrailsRequest'>>) => {
    const request = compose<'GetAuditTrailsRequest'>(client.world, client.name, {
      type: 'GetAuditTrailsRequest',
      ...common(client, collection),
      to: [pillar],
      ...more,
    })
    const answer = await askOne(client, pillar, request, signal)
    if (answer.type !== 'GetAuditTrailsFinalResponse' || answer.responseInfo.code === 'FAILURE')
      throw new Unable(`${pillar}: ${answer.responseInfo.text ?? answer.responseInfo.code}`)
    return answer
  }
  const wanted = {
    ...(query.fileId === undefined ? {} : { fileId: query.fileId }),
    ...(query.since === undefined ? {} : { minTimestamp: timeText(query.since) }),
    ...(query.until === undefined ? {} : { maxTimestamp: timeText(query.until) }),
  }
  let seen: Seen = new Map()
  let after: number | undefined
  do {
    const page = await ask({ ...wanted, ...(after === undefined ? {} : { after }) })
    seen = followed(client.world, collection, seen, page.items)
    const [brokenAt] = faultsOf(seen)
    yield { pillar, is: 'entries', entries: page.items, ...(brokenAt ? { brokenAt } : {}) }
    after = page.partialResult ? page.after : undefined
  } while (after !== undefined)
  const {
    chain,
    chains = chain ? [chain] : [],
    responseInfo,
  } = await ask({
    ...{ verify: true, maxResults: 0 },
  })
  if (chains.length === 0) throw new Unable(`${pillar} says nothing of its audit chain`)
  for (const one of chains) {
    const own = seen.get(one.volume ?? '') ?? {}
    yield { pillar, is: 'chain', chain: { ...one, ...judged(one, own) } }
  }
  // The chain of a volume that is away proves nothing now.
  if (responseInfo.text !== undefined)
    yield { pillar, is: 'silent', why: `${pillar}: ${responseInfo.text}` }
}

/** What is remembered of one chain from page to page. */
interface SeenChain {
  readonly last?: TrailItem
  readonly brokenAt?: number
}
/** By volume; the only one of a pillar has no name here. */
type Seen = ReadonlyMap<string, SeenChain>

const faultsOf = (seen: Seen): number[] =>
  [...seen.values()].flatMap(({ brokenAt }) => (brokenAt === undefined ? [] : [brokenAt]))

/** Recomputes each hash, and looks whether entries that stand next to each other are linked. */
export function followed(
  world: Pick<World, 'hashing'>,
  collection: string,
  before: Seen,
  items: readonly TrailItem[],
): Map<string, SeenChain> {
  const seen = new Map(before)
  for (const { volume = '', ...item } of items) {
    const { last, brokenAt } = seen.get(volume) ?? {}
    const fault = brokenAt ?? (holds(world, collection, last, item) ? undefined : item.sequence)
    seen.set(volume, { last: item, ...(fault === undefined ? {} : { brokenAt: fault }) })
  }
  return seen
}

function holds(
  world: Pick<World, 'hashing'>,
  collection: string,
  last: TrailItem | undefined,
  item: TrailItem,
): boolean {
  const { fileId: id, at, previous, hash, ...entry } = item
  if (last && item.sequence <= last.sequence) return false
  if (item.sequence === 1 && previous !== noAuditHash) return false
  if (last && item.sequence === last.sequence + 1 && previous !== last.hash) return false
  return (
    digestOf(world, auditSubstance(previous, { ...entry, id, collection, at: timeValue(at) })) ===
    hash
  )
}

/** A pillar may be wrong about its own chain: what we have seen of it counts too. */
function judged(chain: Chain, { last, brokenAt }: SeenChain): Partial<Chain> {
  // The chain may have grown since; shorter than what we have seen of it, or with another end, it is not the same.
  const other =
    last !== undefined &&
    chain.brokenAt === undefined &&
    (last.sequence > chain.entries || (last.sequence === chain.entries && last.hash !== chain.head))
  const faults = [chain.brokenAt, brokenAt, other ? last?.sequence : undefined]
  const found = faults.filter((one) => one !== undefined)
  return found.length === 0 ? {} : { brokenAt: Math.min(...found) }
}
