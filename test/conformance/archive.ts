// The ground of a run on real processes: a tracker, a broker and one pillar, which can be killed and its disk reached.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { decide } from '../../src/setup/found.ts'
import { readConfig } from '../../src/system/config.ts'
import { type ClientConfig, clientShape } from '../../src/system/config-shapes.ts'
import { type Archive, changeConfig, collection, makeArchive } from '../support/archive.ts'
import type { Program } from '../support/program.ts'
import type { Hands } from './ground.ts'

export interface RealPillar {
  readonly archive: Archive
  readonly pillar: string
  /** Path of the configuration of a client, and of another one. */
  readonly client: string
  readonly other: string
  readonly hands: Partial<Hands>
}

/** `agentOf` makes the program of the pillar, when it shall not be the one as everybody runs it. */
export async function realPillar(
  t: Test,
  kind: Archive['kind'],
  agentOf?: (archive: Archive) => Program,
): Promise<RealPillar> {
  const archive = await makeArchive(t, kind)
  const { home, tracker, mosquitto } = archive
  const common = { copiesMin: 1, algorithm: 'sha256' } as const
  decide(home, { ...common, name: 'second', pillars: ['pillar-1'] })
  decide(home, { ...common, name: 'elsewhere', pillars: ['pillar-2'] })
  const agent = agentOf?.(archive) ?? archive.pillars['pillar-1']
  t.teardown(() => agent.kill())
  for (const one of [mosquitto, tracker, agent]) {
    one?.start()
    await one?.ready()
  }
  const config = (name: string): string => {
    const path = join(home, name, 'client.toml')
    changeConfig(path, { 'exchange.listen': '127.0.0.1:0', 'exchange.advertise': ['127.0.0.1'] })
    return path
  }
  return {
    archive,
    pillar: 'pillar-1',
    client: config('client'),
    other: config('other'),
    hands: {
      async restart() {
        await agent.kill()
        agent.start()
        await agent.ready()
      },
      async flip(name, id, offset) {
        const path = join(archive.volume('pillar-1'), name, 'data', id)
        const bytes = readFileSync(path)
        bytes[offset] = (bytes[offset] ?? 0) ^ 1
        writeFileSync(path, bytes)
      },
    },
  }
}

export const clientConfig = (path: string): ClientConfig => readConfig(path, clientShape).values
export { collection }
