/** `colonnade-tracker kit` and `restore`: the day on which the server is lost. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { giveTo, thisComputer } from '../machine/computer.ts'
import { setAddress } from '../setup/address.ts'
import { confirmKit, kitFault, makeKit, restoreArchive } from '../setup/kit.ts'
import type { Command } from '../system/commands.ts'
import { type TrackerConfig, trackerShape } from '../system/config-shapes.ts'
import { newPassphrase, openKit } from '../trust/kit.ts'
import { trackerConfigHere } from './invite.ts'
import { read } from './program.ts'

interface KitOptions {
  readonly config: string
  readonly passphraseFile?: string
}

const passphraseOption = [
  '--passphrase-file <file>',
  'its passphrase, the first line of a file; - for standard input',
] as const

export function kitCommands(program: Command): void {
  const kit = program
    .command('kit')
    .description('the recovery kit: what brings the tracker back when its machine is lost')
  kit
    .command('write <file>')
    .description(
      'make a new one, a file to be kept elsewhere and a page to be printed; its passphrase is shown once, unless one is given',
    )
    .option('--config <file>', "the tracker's configuration", trackerConfigHere())
    .option(...passphraseOption)
    .addHelpText('after', '\nExample:\n  colonnade-tracker kit write /media/stick/home-kit.txt')
    .action((file: string, options: KitOptions) =>
      writeKit(read(options.config, trackerShape), file, options.passphraseFile),
    )
  kit
    .command('confirm <file>')
    .description('prove that the kit can be opened: read from the stick, or typed from paper')
    .option('--config <file>', "the tracker's configuration", trackerConfigHere())
    .option(...passphraseOption)
    .addHelpText(
      'after',
      '\nExample:\n  colonnade-tracker kit confirm /media/stick/home-kit.txt --passphrase-file -',
    )
    .action((file: string, options: KitOptions) => {
      const config = read(options.config, trackerShape)
      const opened = openKit(readFileSync(file, 'utf8'), asked(options.passphraseFile))
      confirmKit(config, opened, Date.now())
      giveTo(thisComputer, 'colonnade-tracker', resolve(config.ca, '..'))
      tell(
        kitFault(config) ??
          `the kit of ${opened.madeAt} can be opened, and is that of this archive`,
      )
    })
  program
    .command('restore <kit> <folder>')
    .description('on an empty machine: be the tracker of an archive again, by its recovery kit')
    .option(...passphraseOption)
    .option('--host <host>', 'another name than the kit says; pillars know the old one only')
    .addHelpText(
      'after',
      '\nExample:\n  colonnade-tracker restore /media/stick/home-kit.txt /var/lib/colonnade-tracker',
    )
    .action(restore)
}

export function addressCommand(program: Command): void {
  program
    .command('set-address <address>')
    .description(
      'the tracker moves to another name or port: all members are told, and try the old one as long as the new one does not answer',
    )
    .option('--config <file>', "the tracker's configuration", trackerConfigHere())
    .option('--broker-port <port>', 'of the embedded broker, if it is another')
    .addHelpText('after', '\nExample:\n  colonnade-tracker set-address archive.example.org:443')
    .action((address: string, options: { config: string; brokerPort?: string }) => {
      const { brokerPort } = options
      const config = read(options.config, trackerShape)
      const to = { address: address.toLowerCase(), ...(brokerPort ? { brokerPort } : {}) }
      const { exchange, broker, restart } = setAddress(options.config, config, to)
      giveTo(thisComputer, 'colonnade-tracker', resolve(config.ca, '..'))
      tell(`the tracker is at ${exchange} and ${broker}; if it runs, all who are there hear it now`)
      if (restart) tell('then start it anew: it listens on the old ports until then')
      tell('leave the old name to lead here until every pillar was there once')
      const fault = kitFault(read(options.config, trackerShape))
      if (fault !== undefined) tell(`attention: ${fault}`)
    })
}

async function restore(
  file: string,
  folder: string,
  options: Pick<KitOptions, 'passphraseFile'> & { readonly host?: string },
): Promise<void> {
  const kit = openKit(readFileSync(file, 'utf8'), asked(options.passphraseFile))
  const { host } = options
  const how = { now: Date.now(), ...(host === undefined ? {} : { host }) }
  const config = await restoreArchive(folder, kit, how)
  for (const part of ['tracker', 'archive'])
    giveTo(thisComputer, 'colonnade-tracker', join(resolve(folder), part))
  tell(`${folder} is the tracker of ${kit.archive} again, at ${kit.exchange}`)
  tell(`next: colonnade-tracker run --config ${config}`)
  tell('      the pillars come by themselves, and bring what they keep for it:')
  tell(`      colonnade-tracker status --config ${config}`)
}

/** Writes the page, and says the passphrase if it was made up. */
export function writeKit(config: TrackerConfig, file: string, passphraseFile?: string): void {
  const made = passphraseFile === undefined
  const passphrase = made ? newPassphrase() : asked(passphraseFile)
  const page = makeKit(config, passphrase, Date.now())
  const handle = openSync(file, 'wx', 0o600)
  writeSync(handle, page)
  closeSync(handle)
  giveTo(thisComputer, 'colonnade-tracker', resolve(config.ca, '..'))
  tell(`the recovery kit is ${file}: print it, keep a copy elsewhere, and none on this machine`)
  if (made) tell(`its passphrase, shown only now: ${passphrase}`)
  tell(`then prove that it can be opened: colonnade-tracker kit confirm ${file}`)
}

/** From a file, or typed; never from the command line, which everybody may read. */
function asked(file: string | undefined): string {
  if (file === undefined && process.stdin.isTTY) process.stderr.write('its passphrase: ')
  const text = readFileSync(file === undefined || file === '-' ? 0 : file, 'utf8')
  const [line = ''] = text.split(/\r?\n/)
  if (line.trim() === '') throw new Error('a passphrase is wanted')
  return line.trim()
}

const tell = (text: string): void => void process.stdout.write(`${text}\n`)
