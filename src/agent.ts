/** colonnade-agent: runs one pillar on a storage board. */

import { machineCommands } from './programs/machine.ts'
import { runPowered } from './programs/powered.ts'
import { openWorld, parse, read, runProgram } from './programs/program.ts'
import { rebuildCommands } from './programs/rebuild.ts'
import { serialCommand } from './programs/serial.ts'
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
    return runProgram('colonnade-agent', () => runPowered(world, config), options)
  })
machineCommands(program)
rebuildCommands(program)
serialCommand(program)
void parse('colonnade-agent', program)
