/**
 * The recovery kit as a page of text: it can be kept as a file, printed, and typed again from paper. Each line has a number and
 * a check of its own, so that what was mistyped is found where it is.
 */
import { randomBytes } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { type Kit, parseKit } from '../protocol/recovery.ts'
import { asTyped, checkOf, fromLetters, toLetters } from './code.ts'
import { keyOfPassphrase, sealingBy, usualCost } from './sealing.ts'

const version = 1
const saltBytes = 16
/** Version, cost of the passphrase, two bytes of length, salt. */
const headBytes = 4 + saltBytes
const lineBytes = 25
const groupLetters = 5
const costMax = 22
const kitBytesMax = 64 * 1024

/** 125 random bits, in the letters of codes. */
export const newPassphrase = (): string => grouped(toLetters(randomBytes(20)).slice(0, 25), '-')

/** Lines `01 ABCDE … XYZ`. */
export function kitLines(kit: Kit, passphrase: string, cost = usualCost): string[] {
  const salt = randomBytes(saltBytes)
  const key = keyOfPassphrase(meant(passphrase), salt, cost)
  const sealed = sealingBy(key, aboutKit(cost)).seal(deflateRawSync(JSON.stringify(kit)))
  const head = [version, cost, sealed.length >> 8, sealed.length & 255]
  const bytes = Buffer.concat([Buffer.from(head), salt, sealed])
  const count = Math.ceil(bytes.length / lineBytes)
  const padded = Buffer.concat([bytes, Buffer.alloc(count * lineBytes - bytes.length)])
  return Array.from({ length: count }, (_, n) => {
    const body = toLetters(padded.subarray(n * lineBytes, (n + 1) * lineBytes))
    return `${`${n + 1}`.padStart(2, '0')} ${grouped(body, ' ')} ${checkOf(`${n + 1}`, body)}`
  })
}

/** Throws a sentence: which line is mistyped, or that it is another passphrase. */
export function openKit(text: string, passphrase: string): Kit {
  const bytes = bytesOf(text)
  const [found, cost = 0, high = 0, low = 0] = bytes
  if (found !== version) throw new Error(`this is a kit of version ${found}: take a newer program`)
  const end = headBytes + (high << 8) + low
  if (bytes.length < end) throw new Error('the last lines of the kit are missing')
  if (cost > costMax) throw new Error('this is no recovery kit')
  const key = keyOfPassphrase(meant(passphrase), bytes.subarray(4, headBytes), cost)
  const plain = sealingBy(key, aboutKit(cost)).open(bytes.subarray(headBytes, end))
  if (!plain) throw new Error('the kit can not be opened by this passphrase')
  const options = { maxOutputLength: kitBytesMax }
  const kit = parseKit(inflateRawSync(plain, options).toString('utf8'))
  if (!kit) throw new Error('the kit was made by another program')
  return kit
}

const aboutKit = (cost: number): string => `colonnade kit ${version} ${cost}`

/** One of ours may be typed in any case and with any gaps; another stays as it is. */
function meant(passphrase: string): string {
  const typed = asTyped(passphrase)
  return /^[0-9A-HJKMNP-TV-Z]{25}$/.test(typed) ? typed : passphrase
}

const grouped = (letters: string, gap: string): string =>
  (letters.match(new RegExp(`.{1,${groupLetters}}`, 'g')) ?? []).join(gap)

/** What the numbered lines say; everything else on the page is for people. */
function bytesOf(text: string): Buffer {
  const parts: Buffer[] = []
  for (const line of text.split(/\r?\n/)) {
    const [, digits, rest] = /^\s*(\d{1,3})[ .:]\s*(\S.*)$/.exec(line) ?? []
    if (digits === undefined || rest === undefined) continue
    const number = Number(digits)
    if (number !== parts.length + 1)
      throw new Error(`after line ${parts.length} of the kit comes line ${number}`)
    const letters = asTyped(rest)
    const body = letters.slice(0, -3)
    const isWhole = /^[0-9A-HJKMNP-TV-Z]{43}$/.test(letters)
    if (!isWhole || letters.slice(-3) !== checkOf(`${number}`, body))
      throw new Error(`line ${number} of the kit is mistyped: compare it letter by letter`)
    parts.push(fromLetters(body))
  }
  if (parts.length === 0) throw new Error('there are no lines of a recovery kit in it')
  return Buffer.concat(parts)
}
