import { type Client, startClient } from '../../src/client/client.ts'
import { topicsUnder } from '../../src/protocol/topics.ts'
import type { Fleet } from '../../src/sim/fleet.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { openDirectory } from '../../src/trust/directory.ts'

/** A client by the tracker's own name, as the commands on its machine are. */
export async function operator(fleet: Fleet, instance: string): Promise<Client> {
  const world = simWorld(fleet.time.board(), fleet.random.fork(instance), instance)
  const keys = simKeys()
  const owner = simSigner('owner').publicKey
  const state = openState(':memory:')
  const directory = await openDirectory({ keys, owner, archive: 'test', state }, fleet.sealed)
  const client = await startClient({
    ...{ world, name: 'tracker', instance, directory, keys },
    signer: simSigner('tracker'),
    topics: topicsUnder('colonnade'),
    connect: fleet.broker.connectAs('tracker'),
    dial: fleet.net.dialAs('tracker'),
    refresh: async () => undefined,
  })
  await fleet.time.finish(client.line.connected())
  return client
}
