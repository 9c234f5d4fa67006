/** colonnade-tracker: the centre of an archive: who is there, what is owed, a relay, and the broker. */
import { join, resolve } from 'node:path'
import { giveTo, thisComputer } from './machine/computer.ts'
import { aclCommand } from './programs/acl.ts'
import { inviteCommands, revokeCommand } from './programs/invite.ts'
import { addressCommand, kitCommands, writeKit } from './programs/kit.ts'
import { openWorld, parse, read, runProgram } from './programs/program.ts'
import { runTracker } from './programs/tracker.ts'
import { sayWord, trackerStatus } from './programs/tracker-status.ts'
import {
  add,
  type CollectionOptions,
  collectionOf,
  decide,
  type InitOptions,
  init,
} from './setup/found.ts'
import { Command, Option } from './system/commands.ts'
import { trackerShape } from './system/config-shapes.ts'
import { version } from './system/version.ts'

interface KitOptions {
  readonly kit?: string
  readonly passphraseFile?: string
}

// Keys, codes, and what the tracker knows: for whom it runs as, and for nobody else.
process.umask(0o077)
const program = new Command('colonnade-tracker')
  .description('the centre of a Colonnade archive: who is there, what is owed, and a relay')
  .version(version)
program
  .command('init <folder>')
  .description(
    'found an archive: certificate authority, owner key, archive document, configuration of the tracker',
  )
  .option('--archive <name>', 'its name', 'home')
  .requiredOption('--host <host>', 'how pillars and clients reach this machine')
  .option(
    '--exchange-port <port>',
    'the one that has to be reached: HTTPS, and MQTT over TLS',
    '8443',
  )
  .option('--broker-port <port>', 'another port for the embedded broker')
  .option('--kit <file>', 'where the recovery kit is written; in the folder otherwise')
  .option('--passphrase-file <file>', 'the passphrase of the kit; one is made up otherwise')
  .addHelpText(
    'after',
    '\nExample:\n  colonnade-tracker init /srv/colonnade --host tracker.example.org',
  )
  .action(async (folder: string, options: InitOptions & KitOptions) => {
    await init(folder, options)
    // The service signs for those whom the owner has invited; with the keys taken away it lets in nobody.
    for (const part of ['tracker', 'archive'])
      giveTo(thisComputer, 'colonnade-tracker', join(resolve(folder), part))
    const config = join(folder, 'tracker', 'tracker.toml')
    const kit = options.kit ?? join(folder, 'recovery-kit.txt')
    writeKit(read(config, trackerShape), kit, options.passphraseFile)
    process.stdout.write(
      `founded in ${folder}\nnext: colonnade-tracker run --config ${config}\n` +
        `      colonnade-tracker invite pillar attic --config ${config}\n`,
    )
  })
program
  .command('add <role> <name> <folder>')
  .description(
    'add a pillar or a client: makes the folder with key, certificate and configuration that it needs',
  )
  .option('--out <folder>', 'where; a folder of its name in the archive folder otherwise')
  .option('--site <place>', 'where the pillar stands')
  .option('--mount <path>', 'of a pillar: where its disk is mounted', '/mnt/colonnade')
  .addOption(
    new Option('--kind <kind>', 'of a pillar: what it keeps, the files or their checksums only')
      .choices(['file', 'checksum'])
      .default('file'),
  )
  .addHelpText(
    'after',
    '\nExample:\n  colonnade-tracker add pillar attic /srv/colonnade --site home --mount /mnt/disk',
  )
  .action(
    async (
      role: string,
      name: string,
      folder: string,
      options: { out?: string; site?: string; mount: string; kind: string },
    ) => {
      if (role !== 'pillar' && role !== 'client')
        throw new Error('a member is a pillar or a client')
      const out = options.out ?? join(folder, name)
      const place: Record<string, string> = options.site === undefined ? {} : { site: options.site }
      const kind: Record<string, string> = options.kind === 'checksum' ? { kind: 'checksum' } : {}
      await add(
        folder,
        role,
        name,
        out,
        role === 'pillar' ? { ...place, ...kind, 'volume.mount': options.mount } : place,
      )
      process.stdout.write(
        `${out} is all that ${name} needs; bring it there by a safe way, it holds a secret key\n`,
      )
    },
  )
program
  .command('collection <name> <folder>')
  .description('add a collection, or give it other pillars')
  .requiredOption('--pillars <names...>', 'who keeps it')
  .option('--copies-min <n>', 'confirmed copies at which a put is done', '2')
  .option(
    '--fragment-size <size>',
    'keep it in fragments of this size, spread over the pillars, instead of whole files on each',
  )
  .option('--copies <n>', 'of a collection in fragments: how many pillars keep each of them', '2')
  .addHelpText(
    'after',
    `
Examples:
  colonnade-tracker collection photos /srv/colonnade --pillars attic cellar friend
  colonnade-tracker collection films /srv/colonnade --pillars attic cellar friend --fragment-size 16MiB --copies 2`,
  )
  .action((name: string, folder: string, options: CollectionOptions) => {
    decide(folder, collectionOf(name, options))
    process.stdout.write('the archive document has changed; the tracker takes it at once\n')
  })
inviteCommands(program)
kitCommands(program)
addressCommand(program)
revokeCommand(program)
aclCommand(program)
program
  .command('run')
  .description('run the tracker until it is told to stop')
  .option('--config <file>', 'its configuration', 'tracker.toml')
  .option('--stop-with-parent', 'end when the program that started it is gone')
  .addHelpText(
    'after',
    '\nExample:\n  colonnade-tracker run --config /srv/colonnade/tracker/tracker.toml',
  )
  .action((options: { config: string; stopWithParent?: boolean }) => {
    const config = read(options.config, trackerShape)
    const world = openWorld(config)
    return runProgram('colonnade-tracker', () => runTracker(world, config), options)
  })
program
  .command('status')
  .description('ask the tracker that runs: who is there, what is being repaired')
  .option('--config <file>', 'its configuration', 'tracker.toml')
  .addHelpText(
    'after',
    '\nExample:\n  colonnade-tracker status --config /srv/colonnade/tracker/tracker.toml',
  )
  .action(async (options: { config: string }) => {
    const config = read(options.config, trackerShape)
    const lines = await trackerStatus(openWorld({ ...config, 'log.level': 'silent' }), config)
    process.stdout.write(`${lines.join('\n')}\n`)
  })
const words = {
  retire: {
    word: 'retired',
    about:
      'a pillar will go, as planned: its copies are moved first, and it gets nothing new; it stays trusted, unlike revoke',
    undo: 'it stays after all',
  },
  lost: {
    word: 'lost',
    about:
      'a pillar is gone for good: what it had is repaired now; if somebody else may have it, revoke it',
    undo: 'it is not lost; so says its return, too',
  },
} as const
for (const [name, { word, about, undo }] of Object.entries(words))
  program
    .command(`${name} <pillar>`)
    .description(about)
    .option('--config <file>', 'its configuration', 'tracker.toml')
    .option('--undo', undo)
    .option('--force', 'also when a collection is left with too few pillars')
    .addHelpText(
      'after',
      `\nExample:\n  colonnade-tracker ${name} attic --config /srv/colonnade/tracker/tracker.toml`,
    )
    .action(async (pillar: string, options: { config: string; undo?: true; force?: true }) => {
      const config = read(options.config, trackerShape)
      const world = openWorld({ ...config, 'log.level': 'silent' })
      const said = options.undo ? undefined : word
      const lines = await sayWord(world, config, pillar, said, options.force ?? false)
      process.stdout.write(`${lines.join('\n')}\n`)
    })
void parse('colonnade-tracker', program)
