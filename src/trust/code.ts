/**
 * The code that lets a new board or computer in: where the tracker is, the authority's fingerprint, and a secret that works
 * once. It is read aloud and typed, so its letters are Crockford's (no I, L, O, U), in any case, and what was mistyped shows.
 */
import { Buffer } from 'node:buffer'

export interface Code {
  /** `HOST` or `HOST:PORT` of the tracker's exchange. */
  readonly address: string
  /** The first 80 bits of the SHA-256 of the authority's certificate (DER), hexadecimal. */
  readonly fingerprint: string
  /** 80 bits, hexadecimal. */
  readonly secret: string
}

/** Bytes of the secret and of the fingerprint: nobody tries 2^80 of anything. */
export const codeHalfBytes = 10
const letters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 32 letters for both halves, and 3 that check them and the address. */
const lettersAll = 35
const groupLetters = 5

export function codeText({ address, fingerprint, secret }: Code): string {
  const host = address.toLowerCase()
  const body = toLetters(Buffer.from(fingerprint + secret, 'hex'))
  const all = body + checkOf(host, body)
  const groups = Array.from({ length: lettersAll / groupLetters }, (_, n) =>
    all.slice(n * groupLetters, (n + 1) * groupLetters),
  )
  return `${host}/${groups.join('-')}`
}

/** Throws with a sentence when it can not have been such a code. */
export function readCode(text: string): Code {
  const slash = text.lastIndexOf('/')
  const address = text.slice(0, Math.max(0, slash)).trim().toLowerCase()
  if (!/^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/.test(address))
    throw new Error('a code begins with the address of the tracker, like tracker.example.org/…')
  const typed = asTyped(text.slice(slash + 1))
  if (typed.length !== lettersAll)
    throw new Error(
      `the code is mistyped: after the address come ${lettersAll} letters and digits, here are ${typed.length}`,
    )
  const strange = [...typed].find((letter) => !letters.includes(letter))
  if (strange !== undefined)
    throw new Error(`the code is mistyped: there is never a ${strange} in it`)
  const body = typed.slice(0, -3)
  if (typed.slice(-3) !== checkOf(address, body))
    throw new Error('the code is mistyped: compare it letter by letter, its address, too')
  const bytes = fromLetters(body)
  return {
    address,
    fingerprint: bytes.subarray(0, codeHalfBytes).toString('hex'),
    secret: bytes.subarray(codeHalfBytes).toString('hex'),
  }
}

/** As it was meant, whatever case, gaps, and letters that look like digits. */
export const asTyped = (text: string): string =>
  text.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1')

/**
 * CRC-15 (the polynomial of CAN, 0x4599) over address and letters: finds every error within 15 bits, so each letter that
 * is wrong and any two neighbours that were swapped; of others one in 32 768 is missed.
 */
export function checkOf(address: string, body: string): string {
  let crc = 0x7fff
  const take = (value: number, bits: number): void => {
    for (let bit = bits - 1; bit >= 0; bit--) {
      const carry = ((crc >> 14) ^ (value >> bit)) & 1
      crc = ((crc << 1) & 0x7fff) ^ (carry === 1 ? 0x4599 : 0)
    }
  }
  // Host names are ASCII; seven bits keep two neighbours within the reach of the check.
  for (const byte of Buffer.from(address, 'latin1')) take(byte & 0x7f, 7)
  for (const letter of body) take(letters.indexOf(letter), 5)
  return [10, 5, 0].map((shift) => letters[(crc >> shift) & 31]).join('')
}

/** A multiple of 40 bits: eight letters for five bytes. */
export function toLetters(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const fives = bits.match(/.{5}/g) ?? []
  return fives.map((five) => letters[Number.parseInt(five, 2)]).join('')
}

export function fromLetters(text: string): Buffer {
  const fives = [...text].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0'))
  const bytes = fives.join('').match(/.{8}/g) ?? []
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)))
}
