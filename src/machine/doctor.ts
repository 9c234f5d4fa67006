/** `colonnade-agent doctor`: looks at everything that a pillar stands on, and changes nothing. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../system/clock.ts'
import { ConfigError, readConfig } from '../system/config.ts'
import { type AgentConfig, agentShape } from '../system/config-shapes.ts'
import { board, bridges, clock, power } from './board.ts'
import { askControl, controlPaths } from './control.ts'
import { bad, type Finding, ok, unknown } from './finding.ts'
import { disksBelow, mountsIn, mountTable } from './mounts.ts'
import { ciphers, reach } from './reach.ts'
import { supplyFinding } from './supply.ts'
import { belongsTo, identity, indexAgainstBag, space } from './volume-checks.ts'

/** No clock is right that is before this. */
const built = Date.UTC(2026, 0, 1)

/** Tells one finding after the other; `root` is `/`. */
export async function* examine(path: string, root: string, now: number): AsyncGenerator<Finding> {
  yield board(root)
  yield power(root)
  yield* bridges(root)
  yield clock(root, now, built)
  yield ciphers()
  const config = membership(path)
  if ('is' in config) {
    yield config
    return
  }
  yield ok('member', `pillar ${config.name} of ${config.archive}, by ${path}`)
  const ups = await supplyFinding({ clock: systemClock() }, config)
  if (ups) yield ups
  yield* network(config)
  const mounts = volumesOf(config)
  // Which one is told by the first line, and by each where there are several.
  for (const mount of mounts)
    for await (const found of volume(config, mount))
      yield mounts.length === 1 || found.check === 'disk'
        ? found
        : { ...found, text: `${mount}: ${found.text}` }
}

/** Where its volumes are: those that are named, and those that are found as a start would find them. */
function volumesOf(config: AgentConfig): string[] {
  const named = [config['volume.mount'], ...config['volume.mounts']]
  const found = disksBelow(mountsIn(mountTable()), config['volume.search']).map(({ at }) => at)
  // What is named is not looked at for that: it may sleep.
  const more = found.filter((at) => !named.includes(at) && belongsTo(at, config))
  return [...new Set([...named, ...more])]
}

async function* volume(config: AgentConfig, mount: string): AsyncGenerator<Finding> {
  const about = {
    ...{ mount, pillar: config.name, archive: config.archive, kind: config.kind },
    reserveBytes: config['volume.reserve'],
    told: () => askControl(controlPaths(config), 'index'),
  }
  if (config['bay.index'] !== undefined) {
    const sleeps = await isAsleep(config, mount)
    if (sleeps || !existsSync(join(mount, 'colonnade'))) {
      const why = sleeps ? 'it sleeps' : 'nothing is mounted: it sleeps, or is not there'
      yield unknown('disk', `${mount}: ${why}`)
      return
    }
  }
  const disk = identity(about)
  yield disk
  if (disk.is === 'bad') return
  yield space(about)
  yield await indexAgainstBag(about)
}

/** By the word of the agent: looking would wake it. */
async function isAsleep(config: AgentConfig, at: string): Promise<boolean> {
  const told = await askControl(controlPaths(config), 'bays').catch(() => undefined)
  const bays: readonly Record<string, unknown>[] = Array.isArray(told?.bays) ? told.bays : []
  return bays.some(({ mount, state }) => mount === at && state === 'asleep')
}

function membership(path: string): AgentConfig | Finding {
  try {
    return readConfig(path, agentShape).values
  } catch (error) {
    const hint = error instanceof ConfigError ? error.hint : 'is it readable?'
    const fresh = existsSync(path) ? hint : 'colonnade-agent init, with the folder from the tracker'
    return bad('member', error instanceof Error ? error.message : String(error), fresh)
  }
}

async function* network(config: AgentConfig): AsyncGenerator<Finding> {
  let tls: { ca: string; cert: string; key: string }
  try {
    const read = (path: string): string => readFileSync(path, 'utf8')
    tls = { ca: read(config.ca), cert: read(config.certificate), key: read(config.key) }
  } catch (error) {
    yield bad('member', String(error), 'put sudo before it; else init again')
    return
  }
  const { 'broker.url': broker, 'tracker.url': tracker } = config
  yield await reach({ check: 'broker', url: broker, identity: config['broker.identity'] }, tls)
  yield await reach({ check: 'exchange', url: tracker, identity: config['tracker.identity'] }, tls)
}

/** `ok    board   …`, and below a line with the hint. */
export function line({ check, is, text, hint }: Finding): string {
  const sign = { ok: 'ok', warn: 'WARN', bad: 'BAD', unknown: '-' }[is]
  return `${sign.padEnd(5)} ${check.padEnd(9)} ${text}${hint === undefined ? '' : `; ${hint}`}`
}
