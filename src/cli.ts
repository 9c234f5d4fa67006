/** colonnade: the owner's commands. The table of them, and nothing else. */
import { readFileSync } from 'node:fs'
import { type AlarmsOptions, alarmFeed, alarms } from './cli/alarms.ts'
import { type ChecksumsOptions, checksums, specOf } from './cli/checksums.ts'
import { checkName } from './cli/chosen.ts'
import { checkDelete, type DeleteOptions, deleteFile, lsDeleted, undelete } from './cli/delete.ts'
import { checkGet, type GetOptions, get } from './cli/get.ts'
import { checkHistory, type HistoryOptions, history } from './cli/history.ts'
import { ls } from './cli/ls.ts'
import { approve, orderDelete, orderReplace, perform, wantsTwo } from './cli/orders.ts'
import { Complaint, exitCodes, output, reasonOf } from './cli/output.ts'
import { ownerCommands } from './cli/owner-commands.ts'
import { checkPut, type PutOptions, put } from './cli/put.ts'
import { receiptCommands, writeReceipts } from './cli/receipt.ts'
import { checkReplace, type ReplaceOptions, replace } from './cli/replace.ts'
import { type CommonOptions, session, typedPath } from './cli/session.ts'
import { status } from './cli/status.ts'
import { checkVerify, type VerifyOptions, verify } from './cli/verify.ts'
import { alarmCodes } from './protocol/alarms.ts'
import { Command, CommanderError, InvalidArgumentError, Option } from './system/commands.ts'
import { version } from './system/version.ts'
import { parseBytes, parseDuration, parseRate } from './world/units.ts'

const parsed =
  <T>(parse: (text: string) => T | undefined, wanted: string) =>
  (text: string): T => {
    const value = parse(text)
    if (value === undefined) throw new InvalidArgumentError(`It is ${wanted}.`)
    return value
  }
const bytes = parsed(parseBytes, 'a number of bytes, like 4096 or 16MiB')
const rate = parsed((text) => parseRate(text) || undefined, 'a rate, like 6Mbit/s or 2MiB/s')
const limitText =
  'send and fetch no more over the internet, like 6Mbit/s; the same network is not limited'
const duration = parsed((text) => parseDuration(text) || undefined, 'a duration, like 90s or 5min')
const time = parsed(
  parseTime,
  'a time like 2026-11-22 or 2026-11-22T10:00Z, or how long ago, like 3d',
)
const count = parsed(
  (text) => (/^[1-9]\d{0,3}$/.test(text) ? Number(text) : undefined),
  'a number, like 2',
)
const number = parsed(
  (text) => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined),
  'a number of files, like 500',
)
const list = (value: string, before: string[] = []): string[] => [...before, value]

function parseTime(text: string): number | undefined {
  const ago = parseDuration(text.replace(/ ago$/, ''))
  if (ago !== undefined) return Date.now() - ago
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text))
    return undefined
  const value = Date.parse(text)
  return Number.isNaN(value) ? undefined : value
}

const exits = `
Exit codes: 0 done (copies that are owed are said, and no error), 1 failed, 2 wrong usage,
3 partly done (it is said which), 4 nobody answered, 130 interrupted.`

const program = new Command('colonnade')
  .description('Keeps files safe on several small machines, and proves that it does.')
  .version(version)
  .addHelpText(
    'after',
    `
Examples:
  colonnade put home ~/Pictures --as pictures
  colonnade get home pictures/ -o ~/restored
  colonnade status
\`colonnade put --help\` says more about put.
${exits}`,
  )
  // Before the commands are made, which take it over from here.
  .exitOverride()
  .configureOutput({ outputError: () => undefined })

/** Flags that every command has. */
function command(
  syntax: string,
  description: string,
  example: string,
  parent: Command = program,
): Command {
  return parent
    .command(syntax)
    .description(description)
    .option('--json', 'one object a line, for programs')
    .option('--config <file>', 'the configuration of this client')
    .option('--quiet', 'nothing but what was asked for, and what went wrong')
    .option('--idle-timeout <time>', 'give a silent pillar up after so long (90s)', duration)
    .option('--verbose', 'show on stderr what goes on')
    .addHelpText('after', `\nExample:\n  ${example}\n${exits}`)
}

command(
  'put <collection> <paths...>',
  'Stores files and folders; what is known is not read or sent again.',
  'colonnade put home ~/Pictures --as pictures --exclude "*.tmp"',
)
  .option('--as <prefix>', 'put this folder name before every id')
  .option('--exclude <glob>', 'pass over what matches; may be repeated', list)
  .option('--dry-run', 'only say what would be done')
  .addOption(
    new Option(
      '--changed <what>',
      'a file that differs from the stored one: leave it, store it beside, or in its place',
    )
      .choices(['refuse', 'keep-both', 'replace'])
      .default('refuse'),
  )
  .option(
    '--changes <n>',
    'with --changed replace: up to so many without a question, if the owner allows them',
    number,
  )
  .option('--note <text>', 'say why; it is kept in the audit trail, see history')
  .option('--checksum', 'read every file again, also those whose size and time are known')
  .option('--prove', 'what pillars have already they read again, too, before it counts')
  .option('--limit <rate>', limitText, rate)
  .option('--receipt <file>', 'write what each pillar signs of these files; see receipt verify')
  .addOption(new Option('--wait <what>', 'wait for pillars that are away').choices(['all']))
  .action(
    (
      collection: string,
      paths: string[],
      {
        wait,
        receipt,
        ...options
      }: CommonOptions & PutOptions & { wait?: 'all'; receipt?: string },
    ) =>
      session(
        options,
        async (desk) => {
          const all = { ...options, waitAll: wait === 'all' }
          const { code, summary } = await put(desk, collection, paths.map(typedPath), all)
          if (receipt !== undefined && !options.dryRun)
            await writeReceipts(desk, collection, summary.kept, typedPath(receipt))
          return code
        },
        () => checkPut(options),
      ),
  )

command(
  'get <collection> [ids...]',
  'Fetches files: by id, a folder as PREFIX/, or --all; goes on after an interruption.',
  'colonnade get home pictures/ -o ~/restored\n  colonnade get home disk.img --offset 1MiB --length 512 | hexdump -C',
)
  .option('--all', 'everything in the collection')
  .option('-o, --output <path>', 'a folder; for one id also a file, or - for standard output')
  .option('--offset <n>', 'begin at this byte; without -o to standard output', bytes)
  .option('--length <n>', 'so many bytes; without -o to standard output', bytes)
  .option('--pillar <id>', 'from this pillar')
  .option('--overwrite', 'replace differing files that are there')
  .option('--limit <rate>', limitText, rate)
  .action((collection: string, ids: string[], typed: CommonOptions & Partial<GetOptions>) => {
    const ranged = typed.offset !== undefined || typed.length !== undefined
    const options = { ...typed, output: placeOf(typed.output ?? (ranged ? '-' : './')) }
    return session(
      options,
      async (desk) => (await get(desk, collection, ids, options)).code,
      () => checkGet(ids, options, options.json),
    )
  })

command('ls <collection> [prefix]', 'Lists what the archive has.', 'colonnade ls home pictures/')
  .option('--pillar <id>', 'only what this pillar says')
  .option('--since <time>', 'only what was stored, or deleted, since', time)
  .option('--deleted', 'what was deleted, and until when it can be brought back')
  .action((collection: string, prefix: string | undefined, options) => {
    const show = options.deleted ? lsDeleted : ls
    return session(options, (desk) => show(desk, collection, prefix, options))
  })

command(
  'replace <collection> <id> <path>',
  'Puts another file in the place of one, on the pillars that are named; the old bytes are kept aside.',
  'colonnade replace home letters/ann.txt ./ann.txt --checksum 9f86d0… --pillar attic',
)
  .option('--checksum <hex>', 'which bytes to replace; other bytes are left alone')
  .option('--pillar <id>', 'on this pillar; may be repeated', list)
  .option('--note <text>', 'say why; it is kept in the audit trail, see history')
  .action((collection: string, id: string, path: string, options: CommonOptions & ReplaceOptions) =>
    session(
      options,
      async (desk) =>
        wantsTwo(desk, collection)
          ? orderReplace(desk, collection, id, typedPath(path), {
              ...options,
              folder: typedPath('.'),
            })
          : replace(desk, collection, id, typedPath(path), options),
      () => checkReplace(id, options),
    ),
  )

command(
  'delete <collection> <id>',
  'Deletes one file from the pillars that are named; its bytes are kept aside for a while.',
  'colonnade delete home pictures/blurred.jpg --checksum 9f86d0… --pillar attic',
)
  .option('--checksum <hex>', 'which bytes; other bytes are left alone')
  .option('--pillar <id>', 'from this pillar; may be repeated', list)
  .option('--note <text>', 'say why to the second one, where two people must want it')
  .action((collection: string, id: string, options: CommonOptions & DeleteOptions) =>
    session(
      options,
      async (desk) =>
        wantsTwo(desk, collection)
          ? orderDelete(desk, collection, id, { ...options, folder: typedPath('.') })
          : deleteFile(desk, collection, id, options),
      () => checkDelete(id, options),
    ),
  )

command(
  'undelete <collection> <id>',
  'Brings back what was deleted: a file by its id, or a folder as PREFIX/.',
  'colonnade undelete home pictures/',
)
  .option('--pillar <id>', 'only on this pillar')
  .action((collection: string, id: string, options: CommonOptions & { pillar?: string }) =>
    session(
      options,
      (desk) => undelete(desk, collection, id, options),
      () => checkName(id),
    ),
  )

command(
  'checksums <collection> [ids...]',
  'Shows checksums as the pillars have them, in the form of sha256sum.',
  'colonnade checksums home > sums; cd ~/Pictures && sha256sum -c ~/sums',
)
  .option('--ids-from <file>', 'read ids from a file, one a line; - for standard input')
  .option('--null', 'with --ids-from: a NUL ends each id, as find -print0 writes them')
  .option('--algorithm <name>', 'computed from the bytes now: MD5, SHA-512, HMAC-SHA-256, ...')
  .option('--salt <hex>', 'the key of an HMAC, 1 to 256 bytes')
  .option('--pillar <id>', 'only what this pillar says')
  .action(
    (
      collection: string,
      ids: string[],
      options: CommonOptions & ChecksumsOptions & { idsFrom?: string; null?: boolean },
    ) => {
      const more = options.idsFrom === undefined ? [] : idsFrom(options.idsFrom, options.null)
      const all = ids.length === 0 && options.idsFrom === undefined
      const names = all ? 'all' : [...ids, ...more]
      return session(
        options,
        (desk) => checksums(desk, collection, names, options),
        () => {
          specOf(options)
          names === 'all' || names.forEach(checkName)
        },
      )
    },
  )

command(
  'history <collection> [id]',
  'Shows what was done to the files, and proves that the record of it is whole.',
  'colonnade history home pictures/ann.jpg --since 30d',
)
  .option('--pillar <id>', 'only what this pillar has recorded')
  .option('--since <time>', 'only what happened since', time)
  .option('--until <time>', 'only what happened until then', time)
  .action((collection: string, id: string | undefined, options: CommonOptions & HistoryOptions) =>
    session(
      options,
      (desk) => history(desk, collection, id, options),
      () => checkHistory(id),
    ),
  )

command(
  'verify <collection> [path]',
  'Makes the pillars prove that they have the bytes now; with a path, those of the files there.',
  'colonnade verify home ~/Pictures --as pictures',
)
  .option('--as <prefix>', 'the folder name that was put before every id')
  .option('--sample <n>', 'only so many files, picked at random: a number, or like 5%')
  .option('--pillar <id>', 'only this pillar')
  .action((collection: string, path: string | undefined, options: CommonOptions & VerifyOptions) =>
    session(
      options,
      (desk) => verify(desk, collection, path === undefined ? path : typedPath(path), options),
      () => checkVerify(path, options),
    ),
  )

command(
  'approve <file>',
  'The second one of two who must want a change: shows exactly what it would do, and signs it.',
  'colonnade approve delete-4f3a91c2.order',
)
  .option('--yes', 'without a question')
  .action((path: string, options: CommonOptions & { yes?: boolean }) =>
    session(options, (desk) => approve(desk, typedPath(path), options)),
  )

command(
  'perform <file> [path]',
  'Does what two people have signed; of a replace, with the new bytes.',
  'colonnade perform delete-4f3a91c2.order',
).action((path: string, bytes: string | undefined, options: CommonOptions) =>
  session(options, (desk) =>
    perform(desk, typedPath(path), bytes === undefined ? bytes : typedPath(bytes), options),
  ),
)

receiptCommands(program, command)
ownerCommands(program, command, { bytes, count, number, duration, list })

command(
  'status [collections...]',
  'Is everything safe? One sentence, then what it rests on.',
  'colonnade status --check --quiet || echo "look after the archive"',
)
  .option('--check', 'exit code 1 unless everything is safe')
  .action((collections: string[], options: CommonOptions & { check?: boolean }) =>
    session(options, (desk) => status(desk, collections, options)),
  )

command(
  'alarms',
  'Shows what went wrong in the archive, as the tracker has heard it.',
  'colonnade alarms --since 7d\n  colonnade alarms --follow --json | logger -t colonnade',
)
  .option('--follow', 'go on with what goes wrong from now on')
  .option('--since <time>', 'only what was heard since', time)
  .addOption(new Option('--code <code>', 'only alarms of this kind').choices(alarmCodes))
  .action((options: CommonOptions & AlarmsOptions) => {
    const feed = alarmFeed()
    const follow = options.follow ? { onAlarm: feed.hear } : {}
    return session(options, (desk) => alarms(desk, feed, options), undefined, follow)
  })

/** Absolute; a slash behind it stays, for it says that a folder is meant. */
function placeOf(typed: string): string {
  if (typed === '-' || typed === '/dev/stdout') return '-'
  const path = typedPath(typed)
  return /(^|\/)\.{0,2}$/.test(typed) && !path.endsWith('/') ? `${path}/` : path
}

function idsFrom(path: string, nul = false): string[] {
  try {
    const text = readFileSync(path === '-' ? 0 : typedPath(path), 'utf8')
    return text.split(nul ? '\0' : '\n').filter((line) => line !== '')
  } catch (error) {
    throw new Complaint(`${path}: ${reasonOf(error)}`, exitCodes.failed)
  }
}

void program.parseAsync().catch((error: unknown) => {
  if (!(error instanceof CommanderError)) {
    process.exitCode = output({}).complain(error)
    return
  }
  // It has shown what was asked for; that is no error.
  if (error.exitCode === 0) return
  const name = program.args.find((arg) => program.commands.some((one) => one.name() === arg))
  const help = `\`colonnade ${name === undefined ? '' : `${name} `}--help\` shows how, with an example`
  const sentence = error.code === 'commander.help' ? 'no command was named' : sentenceOf(error)
  process.exitCode = output({}).complain(new Complaint(sentence, exitCodes.usage, help))
})

/** Without the prefix, the full stop and the lines that commander gives its errors. */
const sentenceOf = ({ message }: CommanderError): string =>
  message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace(/\.$/, '')
