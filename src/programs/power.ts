/** `colonnade-agent power`: what the power is, and what is done about it. */
import { isBusy, type LookedAt, lookAtPower, words } from '../machine/supply.ts'
import type { Plan } from '../power/power.ts'
import type { Command } from '../system/commands.ts'
import { agentShape } from '../system/config-shapes.ts'
import { formatDuration } from '../world/units.ts'
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
      const found = await lookAtPower(openWorld(config), config)
      for (const line of options.json ? [JSON.stringify(objectOf(found))] : shown(found))
        process.stdout.write(`${line}\n`)
      if (found?.reading.supply === 'unknown') process.exitCode = 1
    })
}

/** Infinite is no number in JSON: it is left out. */
function objectOf(found: LookedAt | undefined): object {
  if (found === undefined) return { source: 'none' }
  const { finishMs, ...plan } = found.plan
  return { ...found, plan: Number.isFinite(finishMs) ? { ...plan, finishMs } : plan }
}

function shown(found: LookedAt | undefined): string[] {
  if (found === undefined)
    return ['nobody tells of the power here: power.source in the configuration is none']
  const hint = isBusy(found.reading)
    ? ['the agent runs, and has the line: `colonnade status` shows what it knows']
    : []
  return [`power  ${words(found.reading)}`, `plan   ${done(found.plan)}`, ...hint]
}

function done({ refusal, finishMs, stop, writes }: Plan): string {
  if (stop) return `stop in order, park the disk, switch off (${refusal})`
  if (refusal === undefined) return 'everything is done'
  const rest = writes
    ? `what needs no longer than ${formatDuration(finishMs)} is finished`
    : 'what is under way waits'
  return `new files are refused (${refusal}); ${rest}; no scrub, no repair`
}
