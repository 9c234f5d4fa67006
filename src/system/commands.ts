/** The table of commands of a program: the only importer of commander. */
export { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
