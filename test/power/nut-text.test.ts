// What a NUT server says; where each line comes from is in firmware-notes/ups-nut.md.

import t from 'tap'
import { parseAddress, parseList, quoted, readingOfVariables } from '../../src/power/nut-text.ts'

const list = (...lines: string[]): string =>
  ['BEGIN LIST VAR su700', ...lines, 'END LIST VAR su700', ''].join('\n')
const read = (...lines: string[]) => {
  const found = parseList(list(...lines), 'su700')
  return typeof found === 'object' ? readingOfVariables(found) : found
}

t.test('a list of variables, as the protocol prints it', async (t) => {
  const found = parseList(
    list('VAR su700 ups.mfr "APC"', 'VAR su700 ups.id "my \\"best\\" \\\\ UPS"'),
    'su700',
  )
  t.same(
    found,
    new Map([
      ['ups.mfr', 'APC'],
      ['ups.id', 'my "best" \\ UPS'],
    ]),
  )
  t.equal(quoted('my "best" \\ UPS'), '"my \\"best\\" \\\\ UPS"')
})

t.test('[PWR-2] half a list is waited for, and what is none says why', async (t) => {
  const whole = list('VAR su700 ups.status "OL"')
  for (let at = 0; at < whole.length; at++)
    t.equal(parseList(whole.slice(0, at), 'su700'), undefined, `${at}`)
  t.match(parseList('ERR DATA-STALE\n', 'su700'), /has not heard from the UPS/)
  t.match(parseList('ERR DRIVER-NOT-CONNECTED\n', 'su700'), /driver/)
  t.match(parseList('ERR UNKNOWN-UPS\n', 'su700'), /no UPS of this name/)
  t.match(parseList('ERR SOMETHING-NEW\n', 'su700'), /SOMETHING-NEW/)
  t.match(parseList(list().replaceAll('su700', 'other'), 'su700'), /another question/)
  t.match(parseList(list('VAR other ups.status "OL"'), 'su700'), /no variable/)
  t.match(parseList(list('noise'), 'su700'), /no variable/)
  t.match(parseList(`${whole}${whole}`, 'su700'), /more answers/)
})

t.test('[PWR-2] the words of the status decide', async (t) => {
  const status = (words: string) => read(`VAR su700 ups.status "${words}"`)
  t.match(status('OL CHRG'), { supply: 'mains', low: false, ending: false })
  t.match(status('OB DISCHRG'), { supply: 'battery', low: false })
  t.match(status('OB LB'), { supply: 'battery', low: true })
  t.match(status('OL LB'), { supply: 'mains', low: true })
  t.match(status('FSD OL'), { supply: 'mains', ending: true })
  t.match(status('OL RB'), { text: /replaced/ })
  for (const words of ['', 'OFF', 'WAIT', 'OL OB', 'OLD'])
    t.match(status(words), { supply: 'unknown' }, words)
  t.match(read('VAR su700 battery.charge "100"'), { supply: 'unknown' })
})

t.test('figures that are none are left out', async (t) => {
  const figures = [
    'VAR su700 battery.charge "87"',
    'VAR su700 battery.runtime "1200"',
    'VAR su700 input.voltage "230.1"',
  ]
  t.same(read('VAR su700 ups.status "OB"', ...figures), {
    ...{ supply: 'battery', low: false, ending: false },
    ...{ charge: 87, runtimeMs: 1_200_000, inputVolts: 230.1 },
  })
  t.same(
    read(
      'VAR su700 ups.status "OL"',
      'VAR su700 battery.charge "1e2"',
      'VAR su700 battery.runtime "-1"',
      'VAR su700 ups.load "1,5"',
    ),
    { supply: 'mains', low: false, ending: false },
  )
  t.notOk('charge' in Object(read('VAR su700 ups.status "OL"', 'VAR su700 battery.charge "250"')))
})

t.test('a UPS is named as upsc takes it', async (t) => {
  t.same(parseAddress('su700'), { ups: 'su700', host: 'localhost', port: 3493 })
  t.same(parseAddress('su700@nas.lan'), { ups: 'su700', host: 'nas.lan', port: 3493 })
  t.same(parseAddress('a-1.b@10.0.0.2:99'), { ups: 'a-1.b', host: '10.0.0.2', port: 99 })
  t.same(parseAddress('u@[fe80::1]:99'), { ups: 'u', host: 'fe80::1', port: 99 })
  for (const wrong of ['', '@nas', 'su 700@nas', 'u@h:x', 'u@h\nLIST', 'u@'])
    t.equal(parseAddress(wrong), undefined, wrong)
})
