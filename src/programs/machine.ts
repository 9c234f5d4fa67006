/** The commands of the agent that are about its machine: membership, disks, health. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Attached, attached } from '../machine/attached.ts'
import { giveTo, needRoot, thisComputer } from '../machine/computer.ts'
import { examine, line } from '../machine/doctor.ts'
import { firstBoot, firstBootPlaces } from '../machine/first-boot.ts'
import { installedConfig, joinArchive } from '../machine/join.ts'
import { agentUser } from '../machine/mounting.ts'
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
    .action(async () => {
      for (const one of await attached()) tell(shown(one))
    })
  disks
    .command('adopt <where>')
    .description(
      'make a mounted disk a volume of this pillar; nothing on it is touched, a folder `colonnade` is added. With UUID=… it is mounted first, now and at every start',
    )
    .option('--config <file>', 'its configuration')
    .addHelpText(
      'after',
      '\nExample:\n  colonnade-agent disks adopt /mnt/disk --config /etc/colonnade/agent/agent.toml\n  sudo colonnade-agent disks adopt UUID=0f1d2c3b-4a59-4687-9e10-a2b3c4d5e6f7',
    )
    .action(async (where: string, options: ConfigOption) => {
      const config = configOf(options)
      const uuid = /^UUID=(.+)$/.exec(where)?.[1]
      if (uuid === undefined) return adoptAt(where, config)
      needRoot('mounting a disk')
      const mount = read(config, agentShape)['volume.mount']
      mountByUuid(thisComputer, await attached(), uuid, mount)
      await adoptOnce(mount, config)
    })
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

function shown(one: Attached): string {
  const isDisk = one.device === one.disk
  const about = isDisk
    ? [one.model, one.connection, one.serial === '' ? '' : `serial ${one.serial}`]
    : [one.fileSystem, one.label, one.uuid === '' ? '' : `UUID=${one.uuid}`]
  const where = one.mount === '' ? '' : `at ${one.mount}`
  const parts = [`${isDisk ? '' : '  '}${one.device}`, formatBytes(one.bytes), ...about, where]
  return parts.filter((part) => part !== '').join('  ')
}

const tell = (text: string): void => void process.stdout.write(`${text}\n`)
