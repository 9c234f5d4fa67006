/**
 * One seed: a client works, everything else fails, and at the end what was acknowledged is there. Returns what
 * happened, or throws with the invariant that was broken.
 */
import { strict as assert } from 'node:assert'
import type { Client } from '../client/client.ts'
import { type GetItem, getBatch } from '../client/get.ts'
import { survey } from '../client/list.ts'
import { type PutItem, type PutResult, putBatch } from '../client/put.ts'
import type { Landing } from '../exchange/bench.ts'
import { lock } from '../world/lock.ts'
import { digestOf } from '../world/world.ts'
import { checkPieces, isScarce, piecesName } from './chaos-pieces.ts'
import { type Alone, outages, steady } from './chaos-power.ts'
import { type Board, type Fleet, startFleet } from './fleet.ts'
import { memoryItem, memoryLanding } from './memory.ts'
import type { SimRandom } from './random.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly operations: number
  /** How bad it gets, 0 (calm) to 1. */
  readonly severity: number
  /** In a collection that is kept in fragments. */
  readonly pieces?: boolean
  /** And afterwards a pillar joins, and another is away for longer than the time of grace: copies move and are trimmed. */
  readonly churn?: boolean
  /** Each pillar has a UPS, whose mains fail. */
  readonly power?: boolean
}

export interface ChaosReport {
  readonly stored: number
  readonly refused: number
  readonly failed: number
  readonly fetched: number
  readonly crashes: number
  readonly trimmed: number
  readonly outages: number
  /** Boards that were stopped in order and switched off. */
  readonly shutDowns: number
  readonly virtualMs: number
  /** Digest over what every member logged last: the same seed gives the same one. */
  readonly digest: string
}

/** What the archive has promised: file id → bytes, and who confirmed. */
type Promised = Map<
  string,
  {
    readonly bytes: Uint8Array
    readonly checksum: string
    readonly everywhere: boolean
    readonly copies: readonly string[]
  }
>
/** Bytes that a failed put may have left somewhere: said to have failed, so they are nobody's loss. */
type Abandoned = Map<string, Set<string>>

const hour = 3_600_000
const noOutage = { outages: 0, shutDowns: 0 }
const churnGraceMs = 30 * 60_000

export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  let fleet: Fleet | undefined
  try {
    fleet = await startFleet({
      seed: options.seed,
      pillars: 5,
      copiesMin: 3,
      lan: options.seed % 3 !== 0,
      ...(options.pieces ? { fragments: { bytes: 65_536, copies: 3 }, graceMs: churnGraceMs } : {}),
      ...(options.churn ? { pillars: 6, late: 1 } : {}),
      ...(options.power ? { power: { everyMs: 15_000, finishMs: 5_000 } } : {}),
    })
    const collection = options.pieces ? piecesName : fleet.collection
    return await story({ ...fleet, collection }, options)
  } catch (error) {
    const lines = fleet?.lines().slice(-150).join('\n') ?? ''
    throw new Error(
      `seed ${options.seed}: ${error instanceof Error ? error.message : error}\n${lines}`,
      { cause: error },
    )
  }
}

async function story(fleet: Fleet, options: ChaosOptions): Promise<ChaosReport> {
  const random = fleet.random.fork('story')
  const tally = {
    stored: 0,
    refused: 0,
    failed: 0,
    fetched: 0,
    crashes: 0,
    trimmed: 0,
    ...noOutage,
  }
  const promised: Promised = new Map()
  const abandoned: Abandoned = new Map()
  stir(fleet, options.severity)
  // Links break by what goes over them, and one tracker says more than five pillars.
  if (options.pieces) fleet.busFaults.cut /= 5
  const over = new AbortController()
  const alone = oneByOne()
  const trouble = Promise.all([
    troubles(fleet, options.severity, alone, over.signal, tally),
    ...(options.power ? [outages(fleet, alone, over.signal, tally)] : []),
  ])
  const ann = await fleet.client('ann')
  for (let n = 0; n < options.operations; n++) {
    if (promised.size > 0 && random.chance(0.35))
      await fetchSome(fleet, ann, random, promised, tally)
    else
      await storeSome(fleet, ann, random, { promised, abandoned }, tally, `op${n}`, options.pieces)
    await fleet.time.advance(random.int(30_000))
  }
  over.abort()
  if (options.churn) await churn(fleet, options.severity, trouble, tally)
  stir(fleet, 0)
  await fleet.time.finish(trouble)
  await settle(fleet, options)
  if (options.pieces) await checkPieces(fleet, ann, promised)
  else await checkAll(fleet, ann, promised, abandoned)
  await fleet.time.finish(ann.close())
  assert.equal(fleet.broker.counters.threw, 0, 'a handler threw into the bus')
  const digest = digestOf(fleet, fleet.lines().join('\n'))
  return { ...tally, virtualMs: Math.round(fleet.time.clock.monotonic()), digest }
}

/** Everything but power: one joins, one is away for too long, and comes back. */
async function churn(
  fleet: Fleet,
  severity: number,
  trouble: Promise<unknown>,
  tally: { trimmed: number },
): Promise<void> {
  await fleet.time.finish(trouble)
  stir(fleet, severity / 2)
  fleet.busFaults.cut /= 5
  const random = fleet.random.fork('churn')
  for (const board of fleet.boards) if (!board.running()) await fleet.time.finish(board.start())
  if (!fleet.tracker.running()) await fleet.time.finish(fleet.tracker.start(), hour)
  const away = random.pick(fleet.boards)
  away.crash()
  await fleet.time.advance(churnGraceMs + 20 * 60_000)
  await fleet.time.finish(away.start())
  for (let n = 0; n < 6; n++) {
    await fleet.time.advance(random.int(15 * 60_000))
    const board = random.pick(fleet.boards)
    board.crash()
    await fleet.time.advance(random.int(60_000))
    await fleet.time.finish(board.start())
  }
  tally.trimmed += fleet.tracker.running()?.care()?.keeper.balanced(piecesName).trimmed ?? 0
}

function oneByOne(): Alone {
  const turns = new Map<Board, ReturnType<typeof lock>>()
  return (board, work) => {
    const turn = turns.get(board) ?? lock()
    turns.set(board, turn)
    return turn(work)
  }
}

function stir({ busFaults, netFaults }: Fleet, severity: number): void {
  busFaults.lost = 0.05 * severity
  busFaults.duplicated = 0.1 * severity
  busFaults.delayed = 0.1 * severity
  busFaults.reordered = 0.1 * severity
  busFaults.delayMsMax = 4_000
  busFaults.cut = 0.01 * severity
  busFaults.cutMsMax = 60_000
  busFaults.noticeMsMax = 20_000
  netFaults.refuse = 0.05 * severity
  netFaults.cut = 0.15 * severity
  netFaults.hang = 0.02 * severity
  netFaults.faultBytesMax = 200_000
}

/** Boards lose power, disks fail, the broker forgets everything, until it is over. */
async function troubles(
  fleet: Fleet,
  severity: number,
  alone: Alone,
  over: AbortSignal,
  tally: { crashes: number },
): Promise<void> {
  const random = fleet.random.fork('troubles')
  const { clock } = fleet.time
  while (!over.aborted) {
    await clock.sleep(2_000 + random.int(60_000 / Math.max(severity, 0.01)), over)
    if (over.aborted) return
    const board = random.pick(fleet.boards)
    const what = random.int(7)
    if (what <= 1 && board.running()) {
      tally.crashes++
      await alone(board, async () => {
        board.crash()
        await clock.sleep(random.int(120_000), over)
        await board.start()
      })
    } else if (what === 2) fleet.broker.wipe(random.int(20_000))
    else if (what === 3) board.disk.faults.hang(random.int(120_000))
    else if (what === 4) await isolate(fleet, board.name, random.int(60_000), over)
    else if (what === 5 && board.running())
      board.disk.faults.failNext(
        random.pick(['write', 'sync', 'rename', 'syncDir']),
        random.pick(['EIO', 'ENOSPC']),
      )
    else if (what === 6) {
      fleet.tracker.crash()
      await clock.sleep(random.int(30_000), over)
      await fleet.tracker.start()
    }
  }
}

async function isolate(fleet: Fleet, name: string, ms: number, over: AbortSignal): Promise<void> {
  fleet.net.partition(name)
  await fleet.time.clock.sleep(ms, over)
  fleet.net.heal(name)
}

async function storeSome(
  fleet: Fleet,
  client: Client,
  random: SimRandom,
  { promised, abandoned }: { promised: Promised; abandoned: Abandoned },
  tally: { stored: number; refused: number; failed: number },
  label: string,
  patient = false,
): Promise<void> {
  const count = 1 + random.int(4)
  const items = Array.from({ length: count }, (_, n) => {
    // Now and then an id that is there already, with other bytes: to be refused everywhere.
    const known = [...promised.keys()]
    const id = known.length > 0 && random.chance(0.1) ? random.pick(known) : `${label}/${n}.bin`
    return memoryItem(random, fleet, id, random.chance(0.1) ? 0 : random.int(100_000))
  })
  const unique = [...new Map(items.map((item) => [item.id, item])).values()]
  let results = await putAll(fleet, client, unique)
  // Who has one keeper only says it again when that is away.
  for (
    let n = 0;
    n < triesMax && patient && results.some(({ outcome }) => outcome === 'failed');
    n++
  ) {
    await fleet.time.advance(30_000)
    results = await putAll(fleet, client, unique)
  }
  for (const [n, result] of results.entries()) {
    const item = unique[n]
    assert(item)
    if (result.outcome === 'stored') {
      const before = promised.get(item.id)
      assert(
        before === undefined || before.checksum === item.checksum,
        `${item.id} was acknowledged twice with different bytes`,
      )
      const everywhere = result.owed.length === 0 || result.handedOver
      promised.set(item.id, {
        bytes: item.bytes,
        checksum: item.checksum,
        everywhere,
        copies: result.copies,
      })
      tally.stored++
    } else if (result.outcome === 'duplicate') tally.refused++
    else tally.failed++
    if (result.outcome !== 'stored')
      abandoned.set(item.id, new Set(abandoned.get(item.id)).add(item.checksum))
  }
}

const triesMax = 10

const putAll = (fleet: Fleet, client: Client, items: readonly PutItem[]): Promise<PutResult[]> =>
  fleet.time.finish(
    putBatch(client, fleet.collection, items, { signal: new AbortController().signal }),
    6 * hour,
  )

async function fetchSome(
  fleet: Fleet,
  client: Client,
  random: SimRandom,
  promised: Promised,
  tally: { fetched: number },
): Promise<void> {
  const ids = [
    ...new Set(Array.from({ length: 1 + random.int(3) }, () => random.pick([...promised.keys()]))),
  ]
  const landings = ids.map((id) => memoryLanding(fleet, promised.get(id)?.checksum ?? ''))
  const items: GetItem[] = ids.map((id, n) => ({ id, landing: landings[n] as Landing }))
  const results = await fleet.time.finish(
    getBatch(client, fleet.collection, items, { signal: new AbortController().signal }),
    6 * hour,
  )
  for (const [n, result] of results.entries()) {
    if (result.outcome !== 'fetched') continue
    assert.deepEqual(
      landings[n]?.bytes(),
      promised.get(result.id)?.bytes,
      `${result.id} came back with other bytes`,
    )
    tally.fetched++
  }
}

/** Everything works again: all are up, and there is time. */
async function settle(fleet: Fleet, { pieces }: ChaosOptions): Promise<void> {
  fleet.net.heal()
  steady(fleet)
  if (!fleet.tracker.running()) await fleet.time.finish(fleet.tracker.start(), hour)
  for (let n = 0; n < 24; n++) {
    // A volume that failed is only taken up again by a new start; a fault that was still to come comes meanwhile.
    if (n % 6 === 0) await restartAll(fleet)
    await fleet.time.advance(n === 0 ? 120_000 : 10 * 60_000)
    if ((await owedCount(fleet)) === 0 && !(pieces && (await isScarce(fleet)))) return
  }
}

async function restartAll(fleet: Fleet): Promise<void> {
  for (const board of fleet.boards) {
    board.disk.faults.hang(0)
    // One that waits for its mains is there as well.
    if (board.running() || board.power) board.crash()
    await fleet.time.finish(board.start(), hour)
  }
}

/** Debts that could be paid: not those to a pillar that has other bytes there, from a put that failed. */
async function owedCount(fleet: Fleet): Promise<number> {
  let count = 0
  for (const { pillar, file } of (await fleet.tracker.running()?.owed()) ?? []) {
    const [row] =
      (await fleet.boards
        .find((one) => one.name === pillar)
        ?.index.stored(fleet.collection, [file.id])) ?? []
    if (row === undefined || row.checksum === file.checksum) count++
  }
  return count
}

/** The invariant: whatever was acknowledged is on every pillar in the end, with its bytes, after one more power cut. */
async function checkAll(
  fleet: Fleet,
  client: Client,
  promised: Promised,
  abandoned: Abandoned,
): Promise<void> {
  const found = await fleet.time.finish(
    survey(client, fleet.collection, {}, new AbortController().signal),
    hour,
  )
  assert.deepEqual(found.silent, [], 'a pillar is silent although all is well')
  assert.equal(await owedCount(fleet), 0, 'something is still owed')
  for (const board of fleet.boards) await fleet.time.finish(board.stop(), hour)
  for (const [id, { bytes, checksum, everywhere, copies: confirmed }] of promised) {
    const copies: string[] = []
    for (const board of fleet.boards) {
      const [row] = await board.index.stored(fleet.collection, [id])
      if (!row) continue
      // Left by a put that was said to have failed, while this pillar was away when the right bytes came.
      if (
        !confirmed.includes(board.name) &&
        row.checksum !== checksum &&
        abandoned.get(id)?.has(row.checksum)
      ) {
        copies.push(board.name)
        continue
      }
      assert.equal(row.checksum, checksum, `${board.name} has other bytes under ${id}`)
      assert.deepEqual(
        board.disk.snapshot().get(`${fleet.collection}/data/${row.path}`),
        bytes,
        `${board.name} lost the bytes of ${id}`,
      )
      copies.push(board.name)
    }
    assert.deepEqual(
      confirmed.filter((name) => !copies.includes(name)),
      [],
      `a pillar that confirmed ${id} does not have it`,
    )
    if (everywhere)
      assert.equal(
        copies.length,
        fleet.boards.length,
        `${id} has only ${copies.length} copies although nothing is owed`,
      )
  }
}
