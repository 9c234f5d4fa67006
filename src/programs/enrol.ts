/** `colonnade-agent enrol` and `colonnade enrol`: becoming a member by a code. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { attached } from '../machine/attached.ts'
import { giveTo, needRoot, thisComputer } from '../machine/computer.ts'
import { installedConfig, pendingCode, pendingMount, usualMount } from '../machine/join.ts'
import { agentUser } from '../machine/mounting.ts'
import { formatDisk, mountByUuid } from '../machine/volumes.ts'
import { enrol } from '../setup/enrol.ts'
import type { Command } from '../system/commands.ts'
import { openWorld } from './program.ts'

interface EnrolOptions {
  readonly config?: string
  readonly mount?: string
  readonly disk?: string
  readonly format?: string
}

export interface Helpers {
  adoptOnce(mount: string, config: string): Promise<void>
  tell(line: string): void
}

const service = 'colonnade-agent.service'
const isPackaged = (): boolean => existsSync(`/usr/lib/systemd/system/${service}`)
const isRoot = (): boolean => process.getuid?.() === 0
const world = () => openWorld({ name: 'enrol', 'log.level': 'silent' })

export function enrolCommand(program: Command, helpers: Helpers): void {
  program
    .command('enrol [code]')
    .description('make this machine a pillar by the code that `colonnade-tracker invite` prints')
    .option('--config <file>', 'where its configuration is to lie, key and certificate beside it')
    .option('--mount <path>', 'the mounted disk that becomes its volume')
    .option('--disk <UUID=...>', 'the file system that becomes its volume; mounted at every start')
    .option('--format <serial>', 'ERASE the disk with this serial number; it becomes the volume')
    .addHelpText(
      'after',
      `
Without a code it takes the one that the first start has kept; with - it reads one from its standard input.

Examples:
  sudo colonnade-agent enrol tracker.example.org/7K3QM-... --disk UUID=0f1d2c3b-4a59-4687-9e10-a2b3c4d5e6f7
  colonnade-agent enrol tracker.example.org/7K3QM-... --mount /mnt/disk --config attic/agent.toml`,
    )
    .action((code: string | undefined, options: EnrolOptions) => agentEnrol(code, options, helpers))
}

async function agentEnrol(
  typed: string | undefined,
  options: EnrolOptions,
  { adoptOnce, tell }: Helpers,
): Promise<void> {
  const usual = isPackaged() && isRoot()
  const own = join(homedir(), '.config/colonnade/agent/agent.toml')
  const config = options.config ?? (usual ? installedConfig : own)
  const code = typed === undefined ? kept(pendingCode) : codeOf(typed)
  if (code === undefined) throw new Error('a code is wanted: `colonnade-tracker invite` prints one')
  const chosen = [options.mount, options.disk, options.format].filter((one) => one !== undefined)
  if (chosen.length > 1) throw new Error('one of --mount, --disk and --format is enough')
  if (options.disk !== undefined || options.format !== undefined) needRoot('mounting a disk')
  const left = kept(pendingMount)
  const mount = options.mount ?? left ?? usualMount
  // A cut may have come between enrolling and adopting.
  if (!(typed === undefined && existsSync(config))) {
    const values = { 'volume.mount': mount }
    const { name } = await enrol(code, {
      world: world(),
      role: 'pillar',
      config,
      values,
      say: tell,
    })
    tell(`this machine is the pillar ${name}; its configuration is ${config}`)
  }
  giveTo(thisComputer, agentUser, dirname(config))
  if (await opened(options, mount, tell)) await adoptOnce(mount, config)
  else if (options.mount !== undefined || left !== undefined) await adoptOnce(mount, config)
  else tell(`next: mount its disk, and colonnade-agent disks adopt MOUNT --config ${config}`)
  if (typed === undefined)
    for (const path of [pendingCode, pendingMount]) rmSync(path, { force: true })
  if (config !== installedConfig) return tell(`next: colonnade-agent run --config ${config}`)
  thisComputer.run('systemctl', ['enable', '--quiet', service])
  thisComputer.run('systemctl', ['start', '--no-block', service])
  tell('it runs, and will at every start')
}

/** Mounts what was named, now and at every start; false when nothing was. */
async function opened(
  { disk, format }: EnrolOptions,
  mount: string,
  tell: (line: string) => void,
): Promise<boolean> {
  if (disk === undefined && format === undefined) return false
  const all = await attached()
  const uuid =
    format === undefined
      ? (disk ?? '').replace(/^UUID=/, '')
      : formatDisk(thisComputer, all, format).uuid
  mountByUuid(thisComputer, format === undefined ? all : await attached(), uuid, mount)
  tell(`mounted ${uuid} at ${mount}`)
  return true
}

/** The code as it was typed, or from standard input; it is taken out of the list of processes, which everybody may read. */
function codeOf(typed: string): string {
  process.title = 'colonnade enrol'
  return typed === '-' ? readFileSync(0, 'utf8').trim() : typed
}

function kept(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

/** Of the command line: makes the configuration that it looks for. */
export async function clientEnrol(
  typed: string,
  config: string | undefined,
  tell: (line: string) => void,
): Promise<void> {
  const code = codeOf(typed)
  const path = config ?? join(homedir(), '.config/colonnade/client.toml')
  const { name } = await enrol(code, { world: world(), role: 'client', config: path, say: tell })
  tell(`this computer is the client ${name}; its configuration is ${path}`)
}
