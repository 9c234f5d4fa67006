/** Commands about the archive itself: what is kept, who is in it, who may do what. The owner changes it. */

import { approverText, roles, roleTexts } from '../protocol/permissions.ts'
import type { Command } from '../system/commands.ts'
import { type AllowOptions, allow, checkAllow } from './allow.ts'
import { type CollectionOptions, changeCollection, showCollections } from './collection.ts'
import { type PermitOptions, type PermitRole, permit, showMembers } from './members.ts'
import { Complaint, exitCodes } from './output.ts'
import { revokeMember } from './revoke.ts'
import { type CommonOptions, session, typedPath } from './session.ts'

/** Makes a command with the flags that every command has. */
type Make = (syntax: string, description: string, example: string, parent?: Command) => Command

interface Parsers {
  readonly bytes: (text: string) => number
  readonly count: (text: string) => number
  /** Of files. */
  readonly number: (text: string) => number
  /** Milliseconds. */
  readonly duration: (text: string) => number
  readonly list: (value: string, before?: string[]) => string[]
}

export function ownerCommands(program: Command, command: Make, parsers: Parsers): void {
  collectionCommands(program, command, parsers)
  memberCommands(program, command, parsers)
}

function collectionCommands(program: Command, command: Make, parsers: Parsers): void {
  const { bytes, count, duration, list } = parsers
  const collection = program
    .command('collection')
    .description('What is kept in the archive, and by which rules; the owner changes them.')
  command(
    'ls',
    'Shows all collections: on which pillars, and at how many copies a file is safe.',
    'colonnade collection ls',
    collection,
  ).action((options: CommonOptions) =>
    session(options, async (desk) => showCollections(desk, undefined)),
  )
  command(
    'show <name>',
    'Shows one collection.',
    'colonnade collection show home',
    collection,
  ).action((name: string, options: CommonOptions) =>
    session(options, async (desk) => showCollections(desk, name)),
  )
  for (const [how, description, example] of [
    ['add', 'Adds a collection; on all pillars, when none is named.', 'add photos --copies 3'],
    [
      'set',
      'Changes the rules of a collection; what is not named stays.',
      'set photos --copies-min 2',
    ],
  ] as const)
    command(`${how} <name>`, description, `colonnade collection ${example}`, collection)
      .option('--pillar <id>', 'who keeps it; may be repeated', list)
      .option(
        '--copies <n>',
        'so many pillars, in as many places as can be; of fragments, copies of each',
        count,
      )
      .option(
        '--fragment-size <size>',
        'kept in fragments of this size, spread over the pillars',
        bytes,
      )
      .option('--copies-min <n>', 'a put is done when so many have confirmed it', count)
      .option('--append-only', 'files are only added: nothing is ever replaced or deleted')
      .option('--no-append-only', 'files may be replaced and deleted again')
      .option(
        '--approvals <n>',
        'so many people must want it before anything changes: 1 or 2',
        count,
      )
      .option('--retain <time>', 'deleted and replaced bytes stay at least so long', duration)
      .option('--sites <n>', 'refuse unless they stand in so many places', count)
      .option('--owner-key <file>', "the owner's private key, which signs it", typedPath)
      .action((name: string, options: CommonOptions & CollectionOptions) =>
        session(options, (desk) => changeCollection(desk, how, name, options)),
      )
  allowCommand(collection, command, parsers)
}

/** A change of many files, that is planned. */
function allowCommand(collection: Command, command: Make, { number, duration }: Parsers): void {
  command(
    'allow <name>',
    'The owner allows a client to change many files of a collection, for a time.',
    'colonnade collection allow photos --member laptop --changes 5000 --for 1d',
    collection,
  )
    .option('--member <name>', 'the client')
    .option('--changes <n>', 'files that it may replace or delete in a day', number)
    .option('--for <time>', 'how long (1d)', duration)
    .option('--end', 'take the leave back')
    .option('--owner-key <file>', "the owner's private key, which signs it", typedPath)
    .action((name: string, options: CommonOptions & AllowOptions) =>
      session(
        options,
        (desk) => allow(desk, name, options),
        () => checkAllow(options),
      ),
    )
}

function memberCommands(program: Command, command: Make, { list }: Parsers): void {
  program
    .command('enrol <code>')
    .description('Makes this computer a client by the code that `colonnade-tracker invite` prints.')
    .option('--config <file>', 'where its configuration is to lie, key and certificate beside it')
    .addHelpText('after', '\nExample:\n  colonnade enrol tracker.example.org/7K3QM-...')
    .action(async (code: string, { config }: CommonOptions) => {
      const { clientEnrol } = await import('../programs/enrol.ts')
      const place = config === undefined ? config : typedPath(config)
      await clientEnrol(code, place, (line) => void process.stdout.write(`${line}\n`))
    })

  command(
    'revoke <member>',
    'A pillar or a client is not to be trusted any more: it is shut out at once; says what it could read.',
    'colonnade revoke laptop --owner-key owner.key',
  )
    .option('--owner-key <file>', "the owner's private key, which signs it", typedPath)
    .action((name: string, options: CommonOptions & { ownerKey?: string }) =>
      session(options, (desk) => revokeMember(desk, name, options)),
    )

  command(
    'members',
    'Shows who is in the archive, and who may do what.',
    'colonnade members',
  ).action((options: CommonOptions) => session(options, async (desk) => showMembers(desk)))

  command(
    'permit <member> <role>',
    `The owner says what a client may do: ${roles.map((one) => `${one} (${roleTexts[one]})`).join('; ')}; beside that, approver (${approverText}); or none.`,
    'colonnade permit laptop curator --collection photos --owner-key owner.key',
  )
    .option('--collection <name>', 'only in this one; may be repeated', list)
    .option('--owner-key <file>', "the owner's private key, which signs it", typedPath)
    .action((name: string, role: string, options: CommonOptions & PermitOptions) =>
      session(
        options,
        (desk) => permit(desk, name, roleNamed(role), options),
        () => void roleNamed(role),
      ),
    )
}

function roleNamed(text: string): PermitRole {
  const all = [...roles, 'approver' as const, 'none' as const]
  const found = all.find((one) => one === text)
  if (found) return found
  throw new Complaint(`${text} is no role`, exitCodes.usage, `they are: ${all.join(', ')}`)
}
