/** Makes the trial archive in its home, once: three pillars, one collection, one client, all on this computer. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld, read } from '../../src/programs/program.ts'
import { add, decide, init } from '../../src/setup/found.ts'
import { agentShape } from '../../src/system/config-shapes.ts'

export const pillars = ['pillar-1', 'pillar-2', 'pillar-3'] as const
export const collection = 'home'
const marker = 'box.json'

/** Founds the archive unless it is there; a founding that was cut short is begun again. */
export async function foundBox(home: string): Promise<'founded' | 'there'> {
  if (existsSync(join(home, marker))) return 'there'
  clearUnfinished(home)
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const [exchangePort, brokerPort] = await freePorts(2)
  await init(home, {
    archive: 'trial',
    host: '127.0.0.1',
    exchangePort: `${exchangePort}`,
    brokerPort: `${brokerPort}`,
  })
  for (const name of pillars) {
    const mount = join(home, 'volumes', name)
    mkdirSync(mount, { recursive: true })
    await add(home, 'pillar', name, join(home, name), {
      'volume.mount': mount,
      'volume.reserve': '256MiB',
    })
    const config = read(join(home, name, 'agent.toml'), agentShape)
    await adopt(openWorld({ ...config, 'log.level': 'silent' }), config, mount)
  }
  await add(home, 'client', 'client', join(home, 'client'), {
    'exchange.listen': '127.0.0.1:0',
    'exchange.advertise': ['127.0.0.1'],
    // One computer, one owner: a trial.
    'owner-key': '../archive/owner.key',
  })
  decide(home, { name: collection, pillars: [...pillars], copiesMin: 2, algorithm: 'sha256' })
  writeFileSync(join(home, marker), `${JSON.stringify({ box: 1 })}\n`, { flush: true })
  return 'founded'
}

/** Only what a founding makes, and only while no file was ever stored in it. */
function clearUnfinished(home: string): void {
  for (const name of pillars)
    if (existsSync(join(home, 'volumes', name, 'colonnade', '.index.sqlite')))
      throw new Error(
        `${home} holds volumes but no ${marker}; nothing is touched, name another home by COLONNADE_HOME`,
      )
  for (const name of ['archive', 'tracker', 'client', 'volumes', ...pillars])
    rmSync(join(home, name), { recursive: true, force: true })
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer().on('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** The end of a log, for an error. */
export function lastLines(path: string, lines = 5): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return ''
  }
}
