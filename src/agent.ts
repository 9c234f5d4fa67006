/** colonnade-agent: runs one pillar on a storage board. */

import { adopt, runAgent } from './programs/agent.ts'
import { openWorld, parse, read, runProgram } from './programs/program.ts'
import { Command } from './system/commands.ts'
import { agentShape } from './system/config-shapes.ts'
import { version } from './system/version.ts'

const program = new Command('colonnade-agent')
  .description(
    'runs one pillar of a Colonnade archive: keeps files on its disk and proves that it does',
  )
  .version(version)
program
  .command('run')
  .description('run the pillar until it is told to stop')
  .option('--config <file>', 'its configuration', 'agent.toml')
  .option('--stop-with-parent', 'end when the program that started it is gone')
  .addHelpText('after', '\nExample:\n  colonnade-agent run --config /etc/colonnade/agent.toml')
  .action((options: { config: string; stopWithParent?: boolean }) => {
    const config = read(options.config, agentShape)
    const world = openWorld(config)
    return runProgram('colonnade-agent', () => runAgent(world, config), options)
  })
program
  .command('disks')
  .description('volumes of this pillar')
  .command('adopt <mount>')
  .description(
    'make a mounted disk a volume of this pillar; nothing on it is touched, a folder `colonnade` is added',
  )
  .option('--config <file>', 'its configuration', 'agent.toml')
  .addHelpText(
    'after',
    '\nExample:\n  colonnade-agent disks adopt /mnt/disk --config /etc/colonnade/agent.toml',
  )
  .action(async (mount: string, options: { config: string }) => {
    const config = read(options.config, agentShape)
    const volume = await adopt(openWorld(config), config, mount)
    process.stdout.write(`adopted ${mount} as volume ${volume} of ${config.name}\n`)
  })
void parse('colonnade-agent', program)
