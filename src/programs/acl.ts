/** `colonnade-tracker acl mosquitto`: the rights of the members, for a broker that does not read the archive document. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { mosquittoAcl } from '../setup/mosquitto.ts'
import { openState } from '../state/sqlite.ts'
import { Argument, type Command } from '../system/commands.ts'
import { trackerShape } from '../system/config-shapes.ts'
import { documentBeside } from '../system/member.ts'
import { openDirectory } from '../trust/directory.ts'
import { nodeKeys } from '../trust/keys.ts'
import { trackerConfigHere } from './invite.ts'
import { read } from './program.ts'

export function aclCommand(program: Command): void {
  program
    .command('acl')
    .description('write who may do what at the broker, for one that is not ours')
    .addArgument(new Argument('<broker>', 'which').choices(['mosquitto']))
    .option('--config <file>', "the tracker's configuration", trackerConfigHere())
    .option('--out <file>', 'where to write it, instead of printing it')
    .addHelpText(
      'after',
      '\nExample:\n  colonnade-tracker acl mosquitto --out /etc/mosquitto/colonnade/acl && pkill -HUP mosquitto',
    )
    .action(async (_broker: string, options: { config: string; out?: string }) => {
      const config = read(options.config, trackerShape)
      const { archive, owner } = config
      const state = openState(':memory:')
      const parts = { keys: nodeKeys(), owner, archive, state }
      const directory = await openDirectory(parts, readFileSync(documentBeside(config)))
      await state.close()
      const text = mosquittoAcl(directory.document(), config['topics.prefix'])
      if (options.out === undefined) return void process.stdout.write(text)
      // mosquitto warns of a file that others may read, and will refuse it one day.
      writeFileSync(`${options.out}.new`, text, { mode: 0o600, flush: true })
      renameSync(`${options.out}.new`, options.out)
    })
}
