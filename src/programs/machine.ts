/** The commands of the agent that are about its machine: membership, disks, health. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { attached } from '../machine/attached.ts'
import { giveTo, needRoot, thisComputer } from '../machine/computer.ts'
import { askControl, controlPaths } from '../machine/control.ts'
import { type Described, described } from '../machine/described.ts'
import { examine, line } from '../machine/doctor.ts'
import { firstBoot, firstBootPlaces } from '../machine/first-boot.ts'
import { installedConfig, joinArchive } from '../machine/join.ts'
import { letGo } from '../machine/let-go.ts'
import { agentUser } from '../machine/mounting.ts'
import { mountsIn, mountTable } from '../machine/mounts.ts'
import { formatDisk, mountByUuid } from '../machine/volumes.ts'
import type { Command } from '../system/commands.ts'
import { agentShape } from '../system/config-shapes.ts'
import { formatBytes } from '../world/units.ts'
import { adopt } from './agent.ts'
import { enrolCommand } from './enrol.ts'
import { powerCommand } from './power.ts'
import { openWorld, read } from './program.ts'

interface ConfigOption {
  readonly config?: string
}

/** What was named; else `agent.toml` here; else that of the packaged service. */
export const configOf = ({ config }: ConfigOption): string =>
  config ?? (existsSync('agent.toml') ? 'agent.toml' : installedConfig)

export function machineCommands(program: Command): void {
  program
    .command('init <folder>')
    .description(
      'make this machine a pillar, with the folder that `colonnade-tracker add` has made',
    )
    .option('--config <file>', 'where its configuration is to lie, the rest beside it')
    .addHelpText('after', '\nExample:\n  sudo colonnade-agent init attic/')
    .action((folder: string, { config }: ConfigOption) => {
      if (config === undefined) needRoot('init')
      const { name, mount } = joinArchive(thisComputer, folder, config ?? installedConfig)
      tell(`this machine is the pillar ${name}; its disk is to be mounted at ${mount}`)
      tell('next: colonnade-agent disks')
    })
  program
    .command('doctor')
    .description('look at board, power, disk, clock, network; nothing is changed')
    .option('--config <file>', 'its configuration')
    .option('--json', 'one object a line')
    .addHelpText('after', '\nExample:\n  sudo colonnade-agent doctor')
    .action(doctor)
  program
    .command('first-boot [file]')
    .description(
      'do what the file on the boot partition says; the service does it at the first start',
    )
    .addHelpText('after', `\nExample:\n  sudo colonnade-agent first-boot ${firstBootPlaces[0]}`)
    .action(async (file: string | undefined) => {
      needRoot('first-boot')
      const path = file ?? firstBootPlaces.find((one) => existsSync(one))
      if (path === undefined) return tell('there is no colonnade.toml on the boot partition')
      const make = (mount: string): Promise<void> => adoptOnce(mount, installedConfig)
      await firstBoot(path, { computer: thisComputer, attached, adopt: make, say: tell })
    })
  powerCommand(program, configOf)
  enrolCommand(program, { adoptOnce, tell })
  diskCommands(program)
}

async function doctor(options: ConfigOption & { readonly json?: true }): Promise<void> {
  for await (const found of examine(configOf(options), '/', Date.now())) {
    tell(options.json ? JSON.stringify(found) : line(found))
    if (found.is === 'bad') process.exitCode = 1
  }
}

function diskCommands(program: Command): void {
  const disks = program
    .command('disks')
    .description('the disks of this machine, and volumes on them')
  disks
    .command('list', { isDefault: true })
    .description(
      'what is there, with the UUID to adopt it by and the serial number to format it by',
    )
    .option('--config <file>', 'its configuration')
    .option('--json', 'one object a line')
    .action(listDisks)
  disks
    .command('adopt <where>')
    .description(
      'make a mounted disk a volume of this pillar; nothing on it is touched, a folder `colonnade` is added. With UUID=… it is mounted first, now and at every start',
    )
    .option('--config <file>', 'its configuration')
    .option('--at <folder>', 'where it is to be mounted, when it is not the first disk')
    .addHelpText(
      'after',
      '\nExample:\n  colonnade-agent disks adopt /mnt/disk --config /etc/colonnade/agent/agent.toml\n  sudo colonnade-agent disks adopt UUID=0f1d2c3b-4a59-4687-9e10-a2b3c4d5e6f7',
    )
    .action(async (where: string, options: ConfigOption & { readonly at?: string }) => {
      const config = configOf(options)
      const uuid = /^UUID=(.+)$/.exec(where)?.[1]
      const values = read(config, agentShape)
      if (uuid === undefined) await adoptAt(resolve(where), config)
      else {
        needRoot('mounting a disk')
        const mount = options.at ?? values['volume.mount']
        mountByUuid(thisComputer, await attached(), uuid, mount)
        await adoptOnce(mount, config)
      }
      // One that runs takes it at once.
      await askControl(controlPaths(values), 'look', { again: true })
    })
  disks
    .command('forget <volume>')
    .description(
      'no longer wait for a volume that will not come back; the tracker brings its files anew',
    )
    .option('--config <file>', 'its configuration')
    .addHelpText(
      'after',
      '\nExample:\n  colonnade-agent disks forget 0199f3c2-7d1e-7c55-9a41-1f2e3d4c5b6a',
    )
    .action(async (volume: string, options: ConfigOption) => {
      await asked(options, 'forget', { volume })
      tell(`volume ${volume} is forgotten`)
    })
  program
    .command('eject <volume>')
    .description(
      'finish what is under way on a disk, and let go of it; named by its volume or by where it is mounted',
    )
    .option('--config <file>', 'its configuration')
    .addHelpText('after', '\nExample:\n  sudo colonnade-agent eject /mnt/second')
    .action(ejectDisk)
  disks
    .command('format <serial>')
    .description('ERASE the disk with this serial number, and make one ext4 file system on it')
    .addHelpText('after', '\nExample:\n  sudo colonnade-agent disks format WD-WX21A1234567')
    .action(async (serial: string) => {
      needRoot('formatting a disk')
      const { device, uuid } = formatDisk(thisComputer, await attached(), serial)
      tell(`formatted ${device}\nnext: colonnade-agent disks adopt UUID=${uuid}`)
    })
}

/** What the running agent answers; throws a sentence when none runs. */
async function asked(
  options: ConfigOption,
  what: string,
  about: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const values = read(configOf(options), agentShape)
  const answer = await askControl(controlPaths(values), what, about)
  if (!answer) throw new Error('the agent does not run: its disks can be unmounted as they are')
  return answer
}

async function ejectDisk(volume: string, options: ConfigOption): Promise<void> {
  const named = volume.startsWith('.') || volume.startsWith('/') ? resolve(volume) : volume
  const { mount } = await asked(options, 'eject', { volume: named })
  tell(`nothing is under way on ${mount} any more, and its lists are up to date`)
  tell(letGo(thisComputer, String(mount), mountsIn(mountTable())))
  // Mounted again, it is another mount: that this one is gone is to be known before.
  await asked(options, 'look', {})
}

async function listDisks(options: ConfigOption & { readonly json?: true }): Promise<void> {
  const path = configOf(options)
  const values = existsSync(path) ? read(path, agentShape) : undefined
  const told = values && (await askControl(controlPaths(values), 'volumes').catch(() => undefined))
  for (const one of described(await attached(), told))
    tell(options.json ? JSON.stringify(one) : shown(one))
}

async function adoptAt(mount: string, path: string): Promise<void> {
  const config = read(path, agentShape)
  const volume = await adopt(openWorld(config), config, mount)
  giveTo(thisComputer, agentUser, join(mount, 'colonnade'))
  tell(`adopted ${mount} as volume ${volume} of ${config.name}`)
}

/** A volume that is there already is kept; whose it is, the agent finds when it starts. */
async function adoptOnce(mount: string, path: string): Promise<void> {
  if (!existsSync(join(mount, 'colonnade', 'volume.json'))) return adoptAt(mount, path)
  // Another system on another card may have given the user another number.
  giveTo(thisComputer, agentUser, join(mount, 'colonnade'))
  tell(`${mount} is a volume already`)
}

function shown(one: Described): string {
  const isDisk = one.device === one.disk
  const about = isDisk
    ? [one.model, one.connection, one.serial === '' ? '' : `serial ${one.serial}`]
    : [one.fileSystem, one.label, one.uuid === '' ? '' : `UUID=${one.uuid}`]
  const where = one.mount === '' ? '' : `at ${one.mount}`
  const free = one.bytesFree === undefined ? '' : `${formatBytes(one.bytesFree)} free`
  const parts = [
    `${isDisk ? '' : '  '}${one.device}`,
    ...[formatBytes(one.bytes), free, ...about, where],
    one.celsius === undefined ? '' : `${one.celsius} °C`,
    one.health === undefined ? '' : `health ${one.health}`,
    one.volume === undefined ? '' : `adopted: volume ${one.volume}${one.owner}${one.state}`,
  ]
  return parts.filter((part) => part !== '').join('  ')
}

const tell = (text: string): void => void process.stdout.write(`${text}\n`)
