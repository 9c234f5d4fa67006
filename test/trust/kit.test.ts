// The recovery kit survives paper: what was mistyped is found, and without the passphrase it says nothing.

import t from 'tap'
import type { Kit } from '../../src/protocol/recovery.ts'
import { kitLines, newPassphrase, openKit } from '../../src/trust/kit.ts'
import { sealingBy } from '../../src/trust/sealing.ts'

const cheap = 10
const secret = 'A'.repeat(43)
const kit: Kit = {
  ...{ archive: 'home', madeAt: '2026-11-23T00:00:00.000Z' },
  ...{ exchange: 'https://tracker.example.org:8443', broker: 'mqtts://tracker.example.org:8883' },
  ...{ owner: secret, authority: secret, tracker: secret, part: secret },
  certificate: Buffer.from(Array.from({ length: 500 }, (_, n) => (n * 7919) % 251)).toString(
    'base64url',
  ),
}

t.test('[KIT-1] a kit opens by its passphrase, typed in any way', async (t) => {
  const passphrase = newPassphrase()
  t.match(passphrase, /^([0-9A-HJKMNP-TV-Z]{5}-){4}[0-9A-HJKMNP-TV-Z]{5}$/)
  const lines = kitLines(kit, passphrase, cheap)
  t.same(openKit(lines.join('\n'), passphrase), kit)
  const typed = lines.map(
    (line) => line.slice(0, 3) + line.slice(3).toLowerCase().replaceAll('0', 'o'),
  )
  const page = `about it\n\n  ${typed.join('\r\n  ')}\n\nthe end`
  t.same(openKit(page, passphrase.toLowerCase().replaceAll('-', ' ')), kit)
  t.throws(() => openKit(lines.join('\n'), newPassphrase()), /can not be opened by this passphrase/)
  t.same(openKit(kitLines(kit, 'käse und brot', cheap).join('\n'), 'käse und brot'), kit)
  const all = lines.join('').replaceAll(/[\s\d]/g, '')
  t.notMatch(all, secret)
})

t.test('[KIT-1] every letter that was mistyped is found in its line', async (t) => {
  const lines = kitLines(kit, 'x', cheap)
  const [first = ''] = lines
  for (let at = 3; at < first.length; at++) {
    const letter = first[at]
    if (letter === ' ') continue
    const wrong = first.slice(0, at) + (letter === 'A' ? 'B' : 'A') + first.slice(at + 1)
    t.throws(() => openKit([wrong, ...lines.slice(1)].join('\n'), 'x'), /line 1 .* is mistyped/)
  }
  const [one, two, three, ...rest] = lines
  t.throws(() => openKit([one, three, ...rest].join('\n'), 'x'), /after line 1 .* comes line 3/)
  t.throws(() => openKit([one, two].join('\n'), 'x'), /the last lines of the kit are missing/)
  t.throws(() => openKit('nothing', 'x'), /there are no lines of a recovery kit/)
  const swapped = [one, `02 ${three?.slice(3)}`, `03 ${two?.slice(3)}`, ...rest].join('\n')
  t.throws(() => openKit(swapped, 'x'), /line 2 .* is mistyped/, 'a line belongs to its place')
})

t.test('[KIT-2] what is sealed opens by its key and under its words only', async (t) => {
  const [key, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const sealed = sealingBy(key, 'home').seal(Buffer.from('all of it'))
  t.equal(Buffer.from(sealingBy(key, 'home').open(sealed) ?? []).toString(), 'all of it')
  t.equal(sealingBy(other, 'home').open(sealed), undefined)
  t.equal(sealingBy(key, 'away').open(sealed), undefined)
  for (let at = 0; at < sealed.length; at++) {
    const altered = Uint8Array.from(sealed)
    altered[at] = (altered[at] ?? 0) ^ 1
    t.equal(sealingBy(key, 'home').open(altered), undefined)
  }
  t.equal(sealingBy(key, 'home').open(sealed.subarray(0, 20)), undefined)
})
