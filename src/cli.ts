/** colonnade: the owner's commands. The table of them, and nothing else. */
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { get } from './cli/get.ts'
import { checksums, ls } from './cli/ls.ts'
import { Complaint, exitCodes, output } from './cli/output.ts'
import { put } from './cli/put.ts'
import { type CommonOptions, session, typedPath } from './cli/session.ts'
import { status } from './cli/status.ts'
import { version } from './system/version.ts'

const count = (text: string): number => {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('it is a whole number of bytes.')
  return Number(text)
}
const time = (text: string): number => {
  const value = Date.parse(text)
  if (Number.isNaN(value)) throw new InvalidArgumentError('it is a time like 2026-11-22 or 2026-11-22T10:00:00Z.')
  return value
}
const list = (value: string, before: string[] = []): string[] => [...before, value]

const program = new Command('colonnade').description('keeps files safe on several small machines, and proves that it does').version(version)

/** Flags that every command has. */
function command(syntax: string, description: string, example: string): Command {
  return program
    .command(syntax)
    .description(description)
    .option('--json', 'one object a line, for programs')
    .option('--config <file>', 'the configuration of this client')
    .option('--quiet', 'results and errors only')
    .option('--idle-timeout <time>', 'give a silent pillar up after so long', '90s')
    .option('--verbose', 'show on stderr what goes on')
    .addHelpText('after', `\nExample:\n  ${example}`)
}

command('put <collection> <paths...>', 'store files and folders; known ones are not sent again', 'colonnade put home ~/Pictures --as pictures')
  .option('--as <prefix>', 'put this folder name before every id')
  .option('--exclude <glob>', 'pass over what matches; may be repeated', list)
  .option('--dry-run', 'only say what would be done')
  .addOption(new Option('--changed <what>', 'what to do with a file that differs from the stored one').choices(['refuse', 'keep-both']).default('refuse'))
  .option('--checksum', 'hash every file again, also those whose size and time are known')
  .addOption(new Option('--wait <what>', 'wait for pillars that are away').choices(['all']))
  .option('--pillar <id>', 'only to this pillar; may be repeated', list)
  .action((collection: string, paths: string[], options) =>
    session(options, async desk => {
      const { code } = await put(desk, collection, paths.map(typedPath), {
        ...options,
        ...(options.wait === 'all' ? { waitAll: true } : {}),
        ...(options.pillar ? { pillars: options.pillar } : {}),
      })
      return code
    }),
  )

command('get <collection> [ids...]', 'fetch files: by id, a folder as PREFIX/, or --all; goes on after an interruption', 'colonnade get home pictures/ -o ~/restored')
  .option('--all', 'everything in the collection')
  .option('-o, --output <path>', 'a folder, or for one id the file')
  .option('--offset <n>', 'begin at this byte', count)
  .option('--length <n>', 'so many bytes', count)
  .option('--pillar <id>', 'from this pillar')
  .option('--overwrite', 'replace differing files that are there')
  .action((collection: string, ids: string[], options) =>
    session(options, async desk => {
      const place = { output: typedPath(options.output ?? '.') + (options.output?.endsWith('/') ? '/' : '') }
      const { code } = await get(desk, collection, ids, { ...options, ...(options.output === undefined && ids.length === 1 ? {} : place), ...(options.output === undefined ? { output: typedPath('.') + '/' } : {}) })
      return code
    }),
  )

command('ls <collection> [prefix]', 'list what the archive has', 'colonnade ls home pictures/')
  .option('--pillar <id>', 'only what this pillar says')
  .option('--since <time>', 'only what was stored since', time)
  .action((collection: string, prefix: string | undefined, options) => session(options, desk => ls(desk, collection, prefix, options)))

command('checksums <collection> [ids...]', 'checksums as the pillars have them, in the form of sha256sum', 'colonnade checksums home > sums && sha256sum -c sums')
  .option('--ids-from <file>', 'read ids from a file, one a line')
  .option('--pillar <id>', 'only what this pillar says')
  .action((collection: string, ids: string[], options: CommonOptions & { idsFrom?: string; pillar?: string }) =>
    session(options, desk => checksums(desk, collection, [...ids, ...idsFrom(options.idsFrom)], options)),
  )

command('status [collections...]', 'is everything safe? one sentence, then what it rests on', 'colonnade status --check')
  .option('--check', 'exit code 1 unless everything is safe')
  .action((collections: string[], options) =>
    session(options, desk => status(desk, collections.length > 0 ? collections : desk.client.directory.document().collections.map(one => one.name), options)),
  )

function idsFrom(path: string | undefined): string[] {
  if (path === undefined) return []
  return readFileSync(typedPath(path), 'utf8').split('\n').filter(line => line !== '')
}

program.exitOverride()
void program.parseAsync().catch(error => {
  // commander has said what is wrong; --help and --version are no errors.
  if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version' || error.code === 'commander.help') return
  process.exitCode = error.code?.startsWith('commander.') ? exitCodes.usage : output({}).complain(error instanceof Complaint ? error : error)
})
