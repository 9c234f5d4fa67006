/** `colonnade-agent power`: what the power is, and what is done about it. */

import { askControl, controlPaths } from '../machine/control.ts'
import { isBusy, type LookedAt, lookAtPower, words } from '../machine/supply.ts'
import type { Plan, Standing } from '../power/power.ts'
import { timeText } from '../protocol/scalars.ts'
import type { Command } from '../system/commands.ts'
import { type AgentConfig, agentShape } from '../system/config-shapes.ts'
import { formatDuration } from '../world/units.ts'
import type { BayState } from './cold.ts'
import { openWorld, read } from './program.ts'

/** `configOf` finds the configuration when none was named. */
export function powerCommand(
  program: Command,
  configOf: (options: { readonly config?: string }) => string,
): void {
  program
    .command('power')
    .description(
      'where the power comes from, and what the agent would do about it; exit code 1 when nobody can tell',
    )
    .option('--config <file>', 'its configuration')
    .option('--json', 'one object')
    .addHelpText('after', '\nExample:\n  sudo colonnade-agent power')
    .action(async (options: { readonly config?: string; readonly json?: true }) => {
      const config = read(configOf(options), agentShape)
      const found = await asked(config)
      for (const line of options.json ? [JSON.stringify(objectOf(found))] : shown(found))
        process.stdout.write(`${line}\n`)
      if (found.power?.reading.supply === 'unknown') process.exitCode = 1
    })
}

interface Found {
  readonly power: (LookedAt & { readonly standing?: Standing }) | undefined
  readonly bays: readonly BayState[]
}

/** Of the agent, if one runs: the line of the UPS is its own, and what it saw before counts. */
async function asked(config: AgentConfig): Promise<Found> {
  const paths = controlPaths(config)
  const told = await askControl(paths, 'power').catch(() => undefined)
  const bays = await askControl(paths, 'bays').catch(() => undefined)
  return {
    power: isPower(told) ? told : await lookAtPower(openWorld(config), config),
    bays: Array.isArray(bays?.bays) ? bays.bays : [],
  }
}

const isPower = (
  told: Readonly<Record<string, unknown>> | undefined,
): told is Record<string, unknown> & NonNullable<Found['power']> => told?.reading !== undefined

/** Infinite is no number in JSON: it is left out. */
function objectOf({ power, bays }: Found): object {
  const about = bays.length === 0 ? {} : { bays }
  if (power === undefined) return { source: 'none', ...about }
  const { finishMs, ...plan } = power.plan
  return { ...power, plan: Number.isFinite(finishMs) ? { ...plan, finishMs } : plan, ...about }
}

function shown({ power, bays }: Found): string[] {
  const lines = bays.map(bayLine)
  if (power === undefined)
    return ['nobody tells of the power here: power.source in the configuration is none', ...lines]
  return [
    `power  ${words(power.reading)}`,
    ...(power.standing === undefined ? [] : [`state  ${stood(power.standing)}`]),
    `plan   ${done(power.plan)}`,
    ...(isBusy(power.reading) ? ['another program has the line'] : []),
    ...lines,
  ]
}

function stood({ text, since, leftMs }: Standing): string {
  const left =
    leftMs === undefined ? '' : `; by the most careful figure ${formatDuration(leftMs)} are left`
  return `${text}, since ${timeText(since)}${left}`
}

function bayLine({ mount, slot, state, msToWake, text }: BayState): string {
  const where = slot === undefined ? mount : `${mount} in bay ${slot}`
  const how =
    state === 'asleep'
      ? `asleep, and can be read in ${formatDuration(msToWake)}`
      : state === 'failed'
        ? `could not be woken: ${text}`
        : state
  return `disk   ${where}: ${how}`
}

function done({ refusal, finishMs, stop, writes }: Plan): string {
  if (stop) return `stop in order, park the disk, switch off (${refusal})`
  if (refusal === undefined) return 'everything is done'
  const rest = writes
    ? `what needs no longer than ${formatDuration(finishMs ?? 0)} is finished`
    : 'what is under way waits'
  return `new files are refused (${refusal}); ${rest}; no scrub, no repair`
}
