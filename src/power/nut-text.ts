/**
 * What a Network UPS Tools server says (RFC 9271, text over TCP), and what it means; see firmware-notes/ups-nut.md for the
 * source of each fact. Pure.
 */
import { type Reading, unknownReading } from './power.ts'

export const nutPort = 3_493
/** Longer than any list of variables. */
export const listCharsMax = 64 * 1024

export interface NutAddress {
  readonly ups: string
  readonly host: string
  readonly port: number
}

/** `NAME[@HOST[:PORT]]`, as `upsc` takes it; an IPv6 host in brackets. Undefined when it is none. */
export function parseAddress(text: string): NutAddress | undefined {
  const found = /^([\w.-]+)(?:@(?:\[([0-9a-fA-F:]+)\]|([^:@\s[\]]+))(?::(\d{1,5}))?)?$/.exec(text)
  if (!found) return undefined
  const [, ups = '', six, host = six ?? 'localhost', port] = found
  return { ups, host, port: port === undefined ? nutPort : Number(port) }
}

export const listQuestion = (ups: string): string => `LIST VAR ${ups}\n`

/** A word as the server reads it: quotes and backslashes are escaped. */
export const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

export type Variables = ReadonlyMap<string, string>

/**
 * What has come in answer to `LIST VAR`: undefined while it is not whole; a text is why there is no list.
 */
export function parseList(come: string, ups: string): Variables | string | undefined {
  const lines = come.split('\n')
  // What follows the last line feed has not come whole.
  lines.pop()
  const [first, ...rest] = lines
  if (first === undefined) return undefined
  const fault = /^ERR ([A-Z-]+)/.exec(first)
  if (fault) return nutFaults[fault[1] ?? ''] ?? `the NUT server answers ${fault[1]}`
  if (first !== `BEGIN LIST VAR ${ups}`) return 'an answer to another question'
  const variables = new Map<string, string>()
  for (const [n, line] of rest.entries()) {
    if (line === `END LIST VAR ${ups}`)
      return n === rest.length - 1 ? variables : 'more answers than questions'
    const found = /^VAR (\S+) (\S+) "((?:[^"\\]|\\.)*)"$/.exec(line)
    if (!found || found[1] !== ups) return 'a line that is no variable of this UPS'
    variables.set(found[2] ?? '', (found[3] ?? '').replace(/\\(.)/g, '$1'))
  }
  return undefined
}

/** Of its error responses, what an owner can do something about. */
const nutFaults: Readonly<Record<string, string>> = {
  'ACCESS-DENIED': 'the NUT server lets nobody in by this name, password or address',
  'UNKNOWN-UPS': 'the NUT server knows no UPS of this name',
  'DATA-STALE': 'the NUT server has not heard from the UPS lately',
  'DRIVER-NOT-CONNECTED': "the NUT server's driver for the UPS does not run",
}

/** The words of `ups.status` decide; figures that are none are left out. */
export function readingOfVariables(variables: Variables): Reading {
  const status = variables.get('ups.status')
  if (status === undefined) return unknownReading('the NUT server tells no status of the UPS')
  const words = new Set(status.split(/\s+/))
  const number = (name: string): number | undefined => {
    const text = variables.get(name) ?? ''
    return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
  }
  const isBattery = words.has('OB')
  if (isBattery === words.has('OL'))
    return {
      ...unknownReading(`the UPS says neither mains nor battery, or both: ${status || 'nothing'}`),
      ending: words.has('FSD'),
    }
  const alarm = variables.get('ups.alarm')
  const said = [
    ...(words.has('RB') ? ['its battery needs to be replaced'] : []),
    ...(alarm === undefined || alarm === '' ? [] : [alarm]),
  ]
  const charge = number('battery.charge')
  const seconds = number('battery.runtime')
  const figures = {
    inputVolts: number('input.voltage'),
    batteryVolts: number('battery.voltage'),
    load: number('ups.load'),
    charge: charge !== undefined && charge <= 100 ? charge : undefined,
    runtimeMs: seconds === undefined ? undefined : seconds * 1_000,
  }
  return {
    supply: isBattery ? 'battery' : 'mains',
    low: words.has('LB'),
    // "Should be treated just like a OB LB", and stays until the server is started again.
    ending: words.has('FSD'),
    ...(said.length > 0 ? { text: said.join(', ') } : {}),
    ...Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined)),
  }
}
