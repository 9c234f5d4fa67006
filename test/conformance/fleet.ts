// The ground of a run in simulation: one pillar on the memory bus, its disk and its power in our hands.

import { topicsUnder } from '../../src/protocol/topics.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { openDirectory } from '../../src/trust/directory.ts'
import type { Ground, Hands } from './ground.ts'

export interface FleetGround {
  readonly fleet: Fleet
  readonly ground: Ground
}

export async function groundInSimulation(seed: string): Promise<FleetGround> {
  const fleet = await startFleet({
    seed,
    pillars: 2,
    copiesMin: 1,
    collections: { second: ['pillar-1'], elsewhere: ['pillar-2'] },
  })
  const { time, net, broker, random } = fleet
  const keys = simKeys()
  const url = 'https://192.168.1.20:9000'
  await time.advance(1_000)
  const ground: Ground = {
    world: simWorld(time.clock, random.fork('conformance'), 'conformance'),
    identity: 'ann',
    signer: simSigner('ann'),
    other: { identity: 'bob', signer: simSigner('bob') },
    stranger: simSigner('mallory'),
    keys,
    directory: await openDirectory(
      { keys, owner: simSigner('owner').publicKey, archive: 'test', state: openState(':memory:') },
      fleet.sealed,
    ),
    topics: topicsUnder('colonnade'),
    connect: broker.connectAs('ann'),
    async serve(serve) {
      const server = net.serveAs('ann', url, serve)
      return { urls: [url], close: async () => server.close() }
    },
    pillar: 'pillar-1',
    collection: fleet.collection,
    timeoutMs: 60_000,
    graceMs: 35_000,
    hands: handsOn(fleet),
  }
  return { fleet, ground }
}

function handsOn({ boards, time }: Fleet): Hands {
  const [board] = boards
  if (!board) throw new Error('there is no board')
  return {
    async restart() {
      board.crash()
      await board.start()
    },
    async flip(collection, id, offset) {
      board.disk.faults.rot(`${collection}/data/${id}`, offset)
    },
    async fill(collection, ids) {
      const now = time.clock.now()
      const file = { collection, size: 1, checksum: 'a'.repeat(64), mtime: 0, provenAt: 0 }
      for (let at = 0; at < ids.length; at += 1_000)
        await board.index.commit(
          ids.slice(at, at + 1_000).map((id) => ({
            do: 'store',
            file: { ...file, id, path: id },
            now,
          })),
        )
    },
    async full(writes) {
      board.disk.faults.failNext('write', 'ENOSPC', { times: writes })
    },
  }
}
