/** The table of commands of a program: the only importer of commander. */
export { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
