/**
 * The tracker's care for collections in fragments: who is registered, what is distributed, and a vault that answers for
 * these collections as a pillar does, on a session of its own.
 */
import type { Client } from '../client/client.ts'
import { listPillar } from '../client/list.ts'
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import type { FloorOptions } from '../pillar/floors.ts'
import { type Pillar, startPillar } from '../pillar/pillar.ts'
import { compose, uuid7 } from '../post/compose.ts'
import type { Mail } from '../post/post.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { State } from '../state/state.ts'
import type { Store } from '../store/store.ts'
import type { Dial, Serve } from '../transfer/transfer.ts'
import { type Learning, textsFolder } from '../vault/learning.ts'
import { openVault, type Vault, type VaultParts } from '../vault/vault.ts'
import type { View } from '../view/view.ts'
import { distribution as newDistribution } from './distribution.ts'
import { type Farewells, farewells as newFarewells } from './farewells.ts'
import { openFetching, textsOf } from './fetching.ts'
import { forgetting } from './forgetting.ts'
import { type Keeper, startKeeper } from './keeper.ts'
import { openMembers } from './members.ts'
import { inventory } from './members-inventory.ts'
import type { MembersParts } from './members-parts.ts'
import type { Distribution, Fetch, Members } from './roles.ts'
import { trimmer } from './trimming.ts'

/** What the tracker's disk holds for them. */
export interface FragmentParts {
  readonly disk: Disk
  readonly index: Index
  /** Over these, opened for files that pass. */
  readonly volume: Store
  readonly view: View
  /** Of the vault as a pillar. */
  readonly state: State
  readonly retainMs: number
  /** How much of them may be deleted or replaced in a day; the usual when absent. */
  readonly floors?: FloorOptions
  /** It is to go, or is lost, as the operator says. */
  readonly leaves?: (pillar: string) => boolean
  /** A pillar that is away for longer does not count any more, milliseconds; a day when absent. */
  readonly graceMs?: number
  /** The tracker before us may have come so far with its epochs. */
  readonly epochFloor?: number
}

export interface FragmentCare {
  hear(mail: Mail): Promise<void>
  notice(presence: MessageOf<'Presence'>): void
  connected(): void
  /** The owner has decided something new. */
  decided(): void
  /** For pillars that ask, as JSON; undefined when another tracker acts, or nobody was ever registered. */
  membership(collection: string): string | undefined
  readonly members: Members
  readonly vault: Vault
  readonly keeper: Keeper
  readonly view: View
  stop(): Promise<void>
}

/** After the catalogue was learnt from pillars nothing is repaired or trimmed for so long. */
const graceMsUsual = 24 * 3_600_000
/** Between two tries to read a pillar. */
const learnAgainMs = 30_000

export async function careForFragments(
  client: Client,
  version: string,
  parts: FragmentParts,
  serve: Serve,
): Promise<FragmentCare> {
  const { view, disk } = parts
  const { world, name, directory } = client
  const stop = new AbortController()
  const members = await membersOf(client, parts, {
    superseded: () => void giveWay(),
    behind: (collection, pillar) => void reread(collection, pillar),
    scarce: (collection) => keeper.look(collection),
  })
  const fetch = await openFetching(client, view, disk, members.astray)
  const farewells = newFarewells(world.clock)
  const distribution = newDistribution({
    ...client,
    ...{ view, members, farewells },
    send: (topic, message) => client.line.post().send(topic, message),
    scarce: (collection) => keeper.look(collection),
  })
  const keeper = keeperFor(client, parts, {
    ...{ members, distribution, fetch, farewells },
    learning: () => vault.learning,
    stopping: stop.signal,
  })
  const vault = openVault({
    ...{ world, disk, index: parts.index, volume: parts.volume, view, directory },
    ...{ distribution, fetch, signal: stop.signal, present: members.present },
    counts: (pillar) => !parts.leaves?.(pillar),
    onSafe: publisher(client, members),
  })
  const pillar: Pillar = await startPillar({
    ...client,
    clientId: `${name}.vault`,
    version,
    store: vault,
    state: parts.state,
    retainMs: parts.retainMs,
    ...(parts.floors ? { floors: parts.floors } : {}),
    dial: besideOurselves(name, serve, client.dial),
  })
  const learn = learner(client, vault, stop.signal)
  let givenWay: Promise<void> | undefined
  /** Puts and reads are answered by one tracker only, and it alone distributes. */
  function giveWay(): Promise<void> {
    givenWay ??= (async () => {
      const stopped = pillar.stop()
      stop.abort()
      await stopped
      await learn.idle()
      await keeper.stop()
      await distribution.stop()
    })()
    return givenWay
  }
  async function reread(collection: string, from: string): Promise<void> {
    world.log.warn('vault.behind', { collection, pillar: from })
    await vault.learning.doubt(collection, from)
    learn.from(from)
  }
  const connected = (): void => {
    members.connected()
    distribution.connected()
  }
  // It may have been before there was anybody to tell.
  if (client.line.isConnected()) connected()
  return {
    ...{ members, vault, keeper, view },
    async hear(mail) {
      await members.hear(mail)
      await distribution.hear(mail)
    },
    notice(presence) {
      members.notice(presence)
      if (presence.state === 'online') learn.from(presence.from)
    },
    connected,
    decided: members.decided,
    membership: (collection) => toldOf(members, collection),
    async stop() {
      await giveWay()
      await members.stop()
    },
  }
}

/** Tells all of a file that is safe. */
const publisher =
  ({ world, name, line, topics }: Client, members: Members): NonNullable<VaultParts['onSafe']> =>
  ({ collection, fragment }, row, slices) => {
    if (!row) return
    const file = { hash: row.checksum, size: row.size, fragments: slices.length }
    const message = compose<'FileInfoPublished'>(world, name, {
      ...{ type: 'FileInfoPublished', conversation: uuid7(world), epoch: members.epoch() },
      ...{ collection, files: [{ ...file, info: fragment.hash }] },
    })
    void line.post().send(topics.event('FileInfoPublished'), message)
  }

function toldOf(members: Members, collection: string): string | undefined {
  const known = members.isActing() ? members.membership(collection) : undefined
  return known && JSON.stringify(known)
}

interface KeeperGround {
  readonly members: Members
  readonly distribution: Distribution
  readonly fetch: Fetch
  readonly farewells: Farewells
  learning(): Learning
  readonly stopping: AbortSignal
}

function keeperFor(
  client: Client,
  { view, graceMs = graceMsUsual }: FragmentParts,
  ground: KeeperGround,
): Keeper {
  const { world, directory } = client
  const { members, distribution, fetch, farewells, learning, stopping } = ground
  const trim = trimmer({ client, view, farewells, epoch: members.epoch })
  const forgets = forgetting({
    ...{ clock: world.clock, directory, members, view, graceMs },
    knows: (collection, pillar) => learning().knows(collection, pillar),
  })
  void forgets
    .watch(stopping)
    .catch((error) => world.log.error('forgetting.failed', { why: String(error) }))
  const keeper = startKeeper({
    ...{ world, directory, view, members, distribution, fetch },
    balancing: {
      ...{ world, view, members, distribution, fetch },
      unwantedBefore: forgets.before,
      async trim(collection, pillar, surplus, options) {
        const trimmed = await trim(collection, pillar, surplus, options)
        if (trimmed.isScarce) keeper.look(collection)
        return trimmed
      },
    },
    // What seems to be missing may be with a pillar that has not come back yet.
    isReady: () => world.clock.now() - (learning().learntAt() ?? 0) > graceMs,
  })
  return keeper
}

function membersOf(
  client: Client,
  { view, graceMs, leaves, epochFloor }: FragmentParts,
  heard: Pick<MembersParts, 'superseded' | 'behind' | 'scarce'>,
): Promise<Members> {
  const { world, name, directory, topics, line } = client
  return openMembers({
    ...{ ...heard, world, name, directory, view, graceMs, inventory: inventory(client, view) },
    ...(leaves ? { leaves } : {}),
    ...(epochFloor === undefined ? {} : { epochFloor }),
    say: async (event, retain = false) =>
      void (await line.post().send(topics.event(event.type), event, retain)),
    alarm(alarmCode, alarmText) {
      world.log.error('alarm', { alarmCode, text: alarmText })
      const about = { type: 'Alarm' as const, conversation: uuid7(world), alarmCode, alarmText }
      void line.post().send(topics.alarms(), compose<'Alarm'>(world, name, about))
    },
  })
}

/** What is fetched from our own exchange does not go over the network. */
const besideOurselves =
  (name: string, serve: Serve, dial: Dial): Dial =>
  (to, request, options) =>
    to.identity === name
      ? serve(name, request, options.signal ?? new AbortController().signal)
      : dial(to, request, options)

/** Reads each pillar once, as soon as it is there. */
function learner(client: Client, vault: Vault, signal: AbortSignal) {
  const { world, directory, line } = client
  const busy = new Map<string, Promise<void>>()

  async function learnFrom(pillar: string): Promise<void> {
    for (const { name, fragments, pillars } of directory.document().collections) {
      if (!fragments || !pillars.includes(pillar)) continue
      while (!signal.aborted && !(await vault.learning.knows(name, pillar)))
        try {
          const listing = listPillar(client, name, pillar, { prefix: textsFolder }, signal)
          await vault.learning.learn(name, pillar, listing, (some) =>
            textsOf(client, name, pillar, some, signal),
          )
        } catch (error) {
          world.log.warn('vault.notLearnt', { collection: name, pillar, why: String(error) })
          await world.clock.sleep(learnAgainMs, signal)
          if (line.presence(pillar) === 'offline') return
        }
    }
  }
  return {
    from(pillar: string): void {
      if (busy.has(pillar)) return
      const learnt = learnFrom(pillar)
        .catch((error) => world.log.warn('vault.notLearnt', { pillar, why: String(error) }))
        .finally(() => busy.delete(pillar))
      busy.set(pillar, learnt)
    },
    idle: async (): Promise<void> => void (await Promise.all(busy.values())),
  }
}
