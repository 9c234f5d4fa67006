// The ground of a run as an enrolled client, by its configuration: any pillar that it can reach.

import { mqttBus } from '../../src/bus/mqtt.ts'
import { ownExchange } from '../../src/programs/client.ts'
import { openState } from '../../src/state/sqlite.ts'
import type { ClientConfig } from '../../src/system/config-shapes.ts'
import { openMember } from '../../src/system/member.ts'
import { makeKeyPair, nodeSigner } from '../../src/trust/keys.ts'
import type { World } from '../../src/world/world.ts'
import type { Ground, Hands } from './ground.ts'

export interface Demand {
  readonly world: World
  readonly config: ClientConfig
  readonly pillar: string
  /** The first that the pillar keeps, when absent. */
  readonly collection?: string | undefined
  readonly timeoutMs: number
  /** Configuration of another client. */
  readonly other?: ClientConfig
  readonly hands?: Partial<Hands>
  /** The version of MQTT that is tried first. */
  readonly mqtt?: 4 | 5
}

export async function groundOf(
  demand: Demand,
): Promise<{ ground: Ground; close(): Promise<void> }> {
  const { world, config, other, hands, mqtt = 5 } = demand
  const state = openState(':memory:')
  const member = await openMember(world, config, state)
  await member.refresh().catch(() => undefined)
  const { name: identity, tls, signer, keys, directory, topics } = member
  const { collections } = directory.document()
  const collection =
    demand.collection ?? collections.find(({ pillars }) => pillars.includes(demand.pillar))?.name
  if (collection === undefined)
    throw new Error(`the archive knows no collection that ${demand.pillar} keeps`)
  const ground: Ground = {
    ...{ world, identity, signer, keys, directory, topics },
    stranger: nodeSigner(makeKeyPair().privateKey),
    ...(other ? { other: await secondClient(world, other) } : {}),
    connect: mqttBus({
      ...{ url: config['broker.url'], identity: config['broker.identity'], tls, world },
      protocolVersion: mqtt,
    }),
    serve: (serve) => ownExchange(world, config, { tls, directory }, serve),
    pillar: demand.pillar,
    collection,
    timeoutMs: demand.timeoutMs,
    graceMs: 300,
    ...(hands ? { hands } : {}),
  }
  return {
    ground,
    async close() {
      member.dial.close()
      await state.close()
    },
  }
}

async function secondClient(
  world: World,
  config: ClientConfig,
): Promise<NonNullable<Ground['other']>> {
  const state = openState(':memory:')
  const { name, signer, dial } = await openMember(world, config, state)
  dial.close()
  await state.close()
  return { identity: name, signer }
}
