/** `colonnade-agent doctor`: looks at everything that a pillar stands on, and changes nothing. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../system/clock.ts'
import { ConfigError, readConfig } from '../system/config.ts'
import { type AgentConfig, agentShape } from '../system/config-shapes.ts'
import { board, bridges, clock, power } from './board.ts'
import { askControl, controlPaths } from './control.ts'
import { bad, type Finding, ok, unknown } from './finding.ts'
import { ciphers, reach } from './reach.ts'
import { supplyFinding } from './supply.ts'
import { identity, indexAgainstBag, space } from './volume-checks.ts'

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
  const volume = {
    mount: config['volume.mount'],
    pillar: config.name,
    archive: config.archive,
    reserveBytes: config['volume.reserve'],
    told: () => askControl(controlPaths(config), 'index'),
  }
  if (config['bay.index'] !== undefined) {
    const sleeps = await isAsleep(config)
    if (sleeps || !existsSync(join(volume.mount, 'colonnade'))) {
      const why = sleeps ? 'it sleeps' : 'nothing is mounted: it sleeps, or is not there'
      yield unknown('disk', `${volume.mount}: ${why}`)
      return
    }
  }
  const disk = identity(volume)
  yield disk
  if (disk.is === 'bad') return
  yield space(volume)
  yield await indexAgainstBag(volume)
}

/** By the word of the agent: looking would wake it. */
async function isAsleep(config: AgentConfig): Promise<boolean> {
  const told = await askControl(controlPaths(config), 'bays').catch(() => undefined)
  const bays: readonly Record<string, unknown>[] = Array.isArray(told?.bays) ? told.bays : []
  return bays.some(({ mount, state }) => mount === config['volume.mount'] && state === 'asleep')
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
