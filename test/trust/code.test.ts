// The code of an invitation, as people read it aloud and type it.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { type Code, codeText, readCode } from '../../src/trust/code.ts'

const letters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const fresh = (address = 'tracker.example.org'): Code => ({
  address,
  fingerprint: randomBytes(10).toString('hex'),
  secret: randomBytes(10).toString('hex'),
})
/** Whether the code that was typed is taken. */
function taken(text: string): boolean {
  try {
    readCode(text)
    return true
  } catch {
    return false
  }
}

t.test('[ENR-1] a code comes back as it was, however it was typed', async (t) => {
  for (const address of ['tracker.example.org', '127.0.0.1:18443', '[2001:db8::1]:8443']) {
    const code = fresh(address)
    const text = codeText(code)
    t.match(text.slice(address.length), /^\/([0-9A-HJKMNP-TV-Z]{5}-){6}[0-9A-HJKMNP-TV-Z]{5}$/)
    t.same(readCode(text), code)
    t.same(readCode(text.toLowerCase()), code)
    t.same(readCode(text.replaceAll('-', ' ')), code)
    // Who reads aloud says "oh" for 0, and 1 looks like l and I.
    t.same(readCode(address + text.slice(address.length).replaceAll('0', 'o')), code)
    t.same(readCode(address + text.slice(address.length).replaceAll('1', 'l')), code)
    t.same(readCode(address + text.slice(address.length).replaceAll('1', 'I')), code)
  }
})

t.test('[ENR-1] every wrong letter and every swap of two neighbours is found', async (t) => {
  const text = codeText(fresh())
  const missed: string[] = []
  const begin = text.indexOf('/') + 1
  for (let at = begin; at < text.length; at++) {
    if (text[at] === '-') continue
    for (const letter of letters) {
      const other = text.slice(0, at) + letter + text.slice(at + 1)
      if (other !== text && taken(other)) missed.push(other)
    }
  }
  const plain = text.replaceAll('-', '')
  for (let at = 0; at + 1 < plain.length; at++) {
    const swapped = plain.slice(0, at) + plain[at + 1] + plain[at] + plain.slice(at + 2)
    if (swapped !== plain && plain[at] !== '/' && plain[at + 1] !== '/' && taken(swapped))
      missed.push(swapped)
  }
  for (let at = 0; at < begin - 1; at++) {
    const other = `${text.slice(0, at)}x${text.slice(at + 1)}`
    if (other !== text && taken(other)) missed.push(other)
  }
  t.same(missed, [])
})

t.test('[ENR-1] what is wrong with a code is one sentence', async (t) => {
  const text = codeText(fresh())
  const last = text.at(-1) === 'Z' ? 'Y' : 'Z'
  t.throws(() => readCode(text.slice(0, -1)), /mistyped: .* 35 letters and digits, here are 34$/)
  t.throws(() => readCode(text.slice(0, -1) + last), /mistyped: compare it letter by letter/)
  t.throws(() => readCode(`${text.slice(0, -1)}U`), /there is never a U in it/)
  t.throws(() => readCode('ABCDE-FGHJK'), /begins with the address of the tracker/)
  t.throws(() => readCode(''), /begins with the address/)
})
