/** `colonnade-agent serial`: which serial lines there are, and what comes over one of them. */
import { serialLines, systemSerial } from '../serial/node.ts'
import type { Line } from '../serial/serial.ts'
import { type Command, InvalidArgumentError } from '../system/commands.ts'
import { whenTold } from '../system/parent.ts'

interface Options {
  readonly baud: number
  readonly send?: string
  readonly seconds: number
}

export function serialCommand(program: Command): void {
  program
    .command('serial [path]')
    .description('the serial lines of this machine; with a path, what comes over it')
    .option('--baud <bits>', 'speed of the line, bits per second', whole, 9600)
    .option(
      '--send <text>',
      'send this first; ends with a carriage return, unless with \\n or \\r of its own',
    )
    .option('--seconds <n>', 'how long to listen', whole, 5)
    .addHelpText(
      'after',
      '\nExamples:\n  colonnade-agent serial\n  colonnade-agent serial /dev/serial/by-id/usb-FTDI_FT232R_A10KDGH6-if00-port0 --baud 2400 --send Q1',
    )
    .action(async (path: string | undefined, options: Options) =>
      path === undefined ? list() : listen(path, options),
    )
}

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number is needed.')
  return value
}

function list(): void {
  const found = serialLines('/')
  if (found.length === 0) tell('no serial line')
  for (const { path, device, driver } of found)
    tell(path === device ? `${path}  ${driver}` : `${path}  ${device}  ${driver}`)
}

async function listen(path: string, { baud, send, seconds }: Options): Promise<void> {
  const line = await systemSerial.open({ path, baud })
  line.onBytes((bytes) => tell(shown(bytes)))
  whenTold(() => void line.close())
  if (send !== undefined) await line.write(toSend(send))
  await heard(line, seconds * 1000)
}

function toSend(text: string): Buffer {
  const meant = text.replaceAll('\\n', '\n').replaceAll('\\r', '\r')
  return Buffer.from(/[\r\n]$/.test(meant) ? meant : `${meant}\r`)
}

/** Rejects when the line ended before it was closed by us. */
async function heard(line: Line, ms: number): Promise<void> {
  const timer = setTimeout(() => void line.close(), ms)
  const why = await line.closed
  clearTimeout(timer)
  if (why !== 'closed') throw new Error(why)
}

/** As numbers, which nothing hides from, and as text. */
const shown = (bytes: Uint8Array): string => {
  const numbers = Buffer.from(bytes)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ')
  return `${numbers}  ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`
}

const tell = (text: string): void => void process.stdout.write(`${text}\n`)
