import { test } from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import {
  adoptVolume,
  foldsNames,
  readIdentity,
  WrongVolume,
  writeWhole,
} from '../../src/store/identity.ts'
import { bytes, folding, owner } from './kit.ts'

const world = simWorld(simClock().clock, simRandom('identity'), 'p1')
const blank = () => simDisk({ capacity: 1_000_000 })
const mine = { ...owner, volume: 'v1' }

test('an adopted volume says whose it is, and what to do with it', async (t) => {
  const { disk, snapshot } = blank()
  const made = await adoptVolume(world, disk, mine)
  t.strictSame(await readIdentity(disk, owner), made)
  t.match(made, { format: 1, ...mine })
  const readMe = Buffer.from(snapshot().get('READ-ME-FIRST.txt') ?? '').toString()
  t.match(readMe, /DO NOT FORMAT/)
  t.match(readMe, /sha256sum -c manifest-sha256\.txt/)
  t.notOk([...snapshot().keys()].some((path) => path.endsWith('.new')))
})

test('a volume is adopted once only', async (t) => {
  const { disk } = blank()
  await adoptVolume(world, disk, mine)
  const before = await readIdentity(disk, owner)
  await t.rejects(adoptVolume(world, disk, { ...mine, pillar: 'p2' }), WrongVolume)
  await t.rejects(adoptVolume(world, disk, mine), WrongVolume)
  t.strictSame(await readIdentity(disk, owner), before)
})

test('a folder that holds a collection and no volume.json is not taken for an empty disk', async (t) => {
  const { disk, calls } = blank()
  await disk.mkdir('home')
  await disk.mkdir('home/data')
  const before = calls()
  await t.rejects(adoptVolume(world, disk, mine), /files of a collection home/)
  t.equal(calls(), before)
})

test('an adoption that was cut can be repeated, whatever it had left', async (t) => {
  const { disk, snapshot } = blank()
  await disk.mkdir('.incoming')
  await disk.write('READ-ME-FIRST.txt.new', 0, new Uint8Array(5000).fill(120))
  await disk.write('volume.json.new', 0, new Uint8Array(5000).fill(120))
  await adoptVolume(world, disk, mine)
  t.match(await readIdentity(disk, owner), mine)
  t.notMatch(Buffer.from(snapshot().get('READ-ME-FIRST.txt') ?? '').toString(), /xxx/)
})

test('nothing but our own volume is opened', async (t) => {
  const { disk } = blank()
  await t.rejects(readIdentity(disk, owner), /not plugged in, or was never adopted/)
  await adoptVolume(world, disk, mine)
  for (const other of [
    { ...owner, pillar: 'p2' },
    { ...owner, archive: 'a2' },
  ])
    await t.rejects(readIdentity(disk, other), /belongs to the pillar p1 of the archive a1/)
  const damages: [string, RegExp][] = [
    ['', /damaged/],
    ['{"format": 1', /damaged/],
    ['null', /damaged/],
    ['{"format": 1, "volume": "v1", "pillar": "p1"}', /damaged/],
    ['{"format": 0, "volume": "v1", "pillar": "p1", "archive": "a1", "created": ""}', /damaged/],
    ['{"format": 2}', /newer release/],
  ]
  for (const [text, said] of damages) {
    await writeWhole(disk, 'volume.json', text)
    await t.rejects(readIdentity(disk, owner), said)
    await t.rejects(readIdentity(disk, owner), { name: 'WrongVolume' })
  }
})

test('a small file is replaced whole, also after a longer one', async (t) => {
  const { disk, snapshot } = blank()
  await disk.write('a.new', 0, bytes('left by a run that was cut'))
  await writeWhole(disk, 'a', 'long text')
  await writeWhole(disk, 'a', 'short')
  t.strictSame(
    [...snapshot()].map(([path, some]) => `${path} ${Buffer.from(some)}`),
    ['a short'],
  )
})

test('a file system that takes two names for one is noticed', async (t) => {
  const { disk } = blank()
  await adoptVolume(world, disk, mine)
  t.equal(await foldsNames(disk), false)
  t.equal(await foldsNames(folding(disk)), true)
})
