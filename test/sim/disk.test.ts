import fc from 'fast-check'
import { test } from 'tap'
import { type Disk, DiskError, diskErrorCode } from '../../src/disk/disk.ts'
import { simClock } from '../../src/sim/clock.ts'
import { type Chooser, type SimDisk, simDisk } from '../../src/sim/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import { bytes, outcome, steps, text } from '../contract/disk.ts'

const nothing: Chooser = () => 0
const everything: Chooser = (options) => options - 1

/** All that may be left after a crash: the work is done anew for each outcome. */
async function outcomes(work: (sim: SimDisk) => Promise<void>): Promise<Set<string>> {
  const found = new Set<string>()
  for (let choices: number[] | undefined = []; choices !== undefined; ) {
    const sim = simDisk({ capacity: 1_000_000 })
    await work(sim)
    const made: { chosen: number; options: number }[] = []
    const planned: readonly number[] = choices
    sim.crash((options) => {
      const chosen = planned[made.length] ?? 0
      made.push({ chosen, options })
      return chosen
    })
    found.add(said(sim))
    // Depth first: the last choice that can go further does, those after it begin anew.
    const further = made.findLastIndex(({ chosen, options }) => chosen + 1 < options)
    choices =
      further < 0
        ? undefined
        : made.slice(0, further + 1).map(({ chosen }, at) => (at === further ? chosen + 1 : chosen))
  }
  return found
}

const said = (sim: SimDisk): string =>
  [...sim.snapshot()].map(([path, some]) => `${path}=${Buffer.from(some)}`).join(' ')

/** The recipe of a durable file, without the steps that are left out. */
async function recipe(disk: Disk, without: readonly ('sync' | 'syncDir')[] = []): Promise<void> {
  await disk.write('partial', 0, bytes('whole'))
  if (!without.includes('sync')) await disk.sync('partial')
  await disk.rename('partial', 'final')
  if (!without.includes('syncDir')) await disk.syncDir('')
}

test('synced bytes under a synced name survive every crash', async (t) => {
  t.strictSame([...(await outcomes(({ disk }) => recipe(disk)))], ['final=whole'])
})

test('without the sync of the folder the name may be lost, and never both names', async (t) => {
  const left = await outcomes(({ disk }) => recipe(disk, ['syncDir']))
  t.strictSame([...left].sort(), ['', 'final=whole', 'partial=whole'])
})

test('without the sync of the bytes the file may be there empty', async (t) => {
  const left = await outcomes(({ disk }) => recipe(disk, ['sync']))
  t.ok(left.has('final='))
  t.ok(left.has('final=whole'))
  t.ok([...left].every((one) => one.startsWith('final=')))
})

test('a rename over a durable file leaves the old bytes or the new ones, never neither', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.write('a', 0, bytes('old'))
    await disk.sync('a')
    await disk.syncDir('')
    await disk.write('b', 0, bytes('new'))
    await disk.sync('b')
    await disk.rename('b', 'a')
  })
  t.strictSame([...left].sort(), ['a=new', 'a=old', 'a=old b=new'])
})

test('a file moved aside before another takes its name is not lost', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.mkdir('aside')
    await disk.write('a', 0, bytes('old'))
    await disk.sync('a')
    await disk.syncDir('')
    await disk.rename('a', 'aside/a')
    await disk.write('b', 0, bytes('new'))
    await disk.sync('b')
    await disk.rename('b', 'a')
  })
  t.ok([...left].every((one) => one.includes('=old')))
  t.ok(left.has('a=new aside/= aside/a=old'))
})

test('a folder whose own name was not synced takes what was made in it along', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.mkdir('folder')
    await disk.write('folder/a', 0, bytes('x'))
    await disk.sync('folder/a')
    await disk.syncDir('folder')
  })
  t.strictSame([...left].sort(), ['', 'folder/= folder/a=x'])
})

test('a move into a folder whose own name was not synced is undone, not lost', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.write('a', 0, bytes('x'))
    await disk.sync('a')
    await disk.syncDir('')
    await disk.mkdir('folder')
    await disk.rename('a', 'folder/a')
    await disk.syncDir('folder')
  })
  t.strictSame([...left].sort(), ['a=x', 'folder/= folder/a=x'])
})

test('a file moved out of a folder that is then removed, or replaced, is not lost', async (t) => {
  for (const end of ['rmdir', 'replace']) {
    const left = await outcomes(async ({ disk }) => {
      for (const folder of ['from', 'to', 'other']) await disk.mkdir(folder)
      await disk.write('from/a', 0, bytes('x'))
      await disk.sync('from/a')
      for (const folder of ['from', '']) await disk.syncDir(folder)
      await disk.rename('from/a', 'to/a')
      if (end === 'rmdir') await disk.rmdir('from')
      else await disk.rename('other', 'from')
      await disk.syncDir('')
    })
    t.ok(left.size > 0 && [...left].every((one) => one.includes('=x')), [...left].join(' | '))
  }
})

test('a new file does not take the place of one whose move is not certain', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.mkdir('d')
    await disk.write('d/a', 0, bytes('old'))
    await disk.sync('d/a')
    for (const folder of ['d', '']) await disk.syncDir(folder)
    await disk.mkdir('aside')
    await disk.rename('d/a', 'aside/a')
    await disk.syncDir('aside')
    await disk.write('d/a', 0, bytes('new'))
    await disk.sync('d/a')
    await disk.syncDir('d')
  })
  t.ok(
    [...left].every((one) => one.includes('=old')),
    [...left].join(' | '),
  )
  t.ok(left.has('aside/= aside/a=old d/= d/a=new'))
})

test('a long write may survive up to some sector', async (t) => {
  const sim = simDisk({ capacity: 1_000_000 })
  await sim.disk.write('a', 0, new Uint8Array(100_000).fill(120))
  await sim.disk.syncDir('')
  const answers: [about: RegExp, answer: number][] = [
    [/^bytes/, 1],
    [/^last step/, 0],
    [/^sectors/, 50],
  ]
  sim.crash((_, about) => answers.find(([pattern]) => pattern.test(about))?.[1] ?? 0)
  t.equal(said(sim), `a=${'x'.repeat(50 * 512)}`)
})

test('a removal that was not synced may come back, whole', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.write('a', 0, bytes('x'))
    await disk.sync('a')
    await disk.syncDir('')
    await disk.remove('a')
  })
  t.strictSame([...left].sort(), ['', 'a=x'])
})

test('of a longer write some sectors may survive and others not, in any order', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.write('a', 0, bytes('..'.repeat(512)))
    await disk.sync('a')
    await disk.syncDir('')
    await disk.write('a', 0, bytes('xx'.repeat(512)))
  })
  const half = { old: '.'.repeat(512), new: 'x'.repeat(512) }
  const seen = [...left].map((one) => one.replace('a=', ''))
  t.strictSame(
    new Set(seen),
    new Set([half.old + half.old, half.new + half.old, half.old + half.new, half.new + half.new]),
  )
})

test('a file may be as long as it was before, or as it became, with zeros for what was lost', async (t) => {
  const left = await outcomes(async ({ disk }) => {
    await disk.write('a', 0, bytes('one'))
    await disk.sync('a')
    await disk.syncDir('')
    await disk.write('a', 3, bytes('two'))
  })
  t.strictSame(left, new Set(['a=one', 'a=one\0\0\0', 'a=onetwo']))
})

test('the time of a file is as uncertain as its bytes', async (t) => {
  for (const [choice, expected] of [
    [nothing, 1000],
    [everything, 2000],
  ] as const) {
    const sim = simDisk({ capacity: 1000 })
    await recipe(sim.disk)
    await sim.disk.touch('final', 1000)
    await sim.disk.sync('final')
    await sim.disk.touch('final', 2000)
    sim.crash(choice)
    t.equal((await sim.disk.stat('final'))?.mtime, expected)
  }
})

test('when everything survives, a crash changes nothing; when nothing does, only what was synced is left', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), async (calls, seed) => {
      const sim = simDisk({ capacity: 1_000_000 })
      for (const [, call] of calls) await outcome(call(sim.disk))
      const before = said(sim)
      sim.crash(everything)
      if (said(sim) !== before) throw new Error(`${said(sim)} after ${before}`)
      // What survived one crash survives all that follow, and space is accounted for.
      sim.crash(simRandom(seed))
      if (said(sim) !== before) throw new Error(`${said(sim)} after ${before}`)
      const { bytesFree } = await sim.disk.free()
      const used = [...sim.snapshot().values()].reduce((sum, { length }) => sum + length, 0)
      if (bytesFree !== 1_000_000 - used) throw new Error(`${bytesFree} free, ${used} used`)
    }),
  )
})

test('a durable file that is only ever renamed is never lost, whatever happens around it', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), async (calls, seed) => {
      const sim = simDisk({ capacity: 1_000_000 })
      const { disk } = sim
      await disk.write('precious', 0, bytes('precious'))
      await disk.sync('precious')
      await disk.syncDir('')
      let at = 'precious'
      const random = simRandom(seed)
      for (const [what, call] of calls) {
        const [verb, , to] = what.split(' ')
        if (random.chance(0.3)) {
          const next = random.pick(['x', 'a/x', 'b/x', 'a/b/x', 'c/x'])
          if ((await outcome(disk.rename(at, next))) === undefined) at = next
        }
        // Calls that would take its folder away or move it are left out.
        if (
          verb === 'rename' &&
          (at.startsWith(`${to}/`) || at.startsWith(`${what.split(' ')[1]}/`))
        ) {
          continue
        }
        await outcome(call(disk))
        if (random.chance(0.2)) await disk.syncDir('')
      }
      sim.crash(random)
      const found = [...sim.snapshot()].filter(([, some]) =>
        Buffer.from(some).equals(bytes('precious')),
      )
      if (found.length !== 1) throw new Error(`${found.length} times; last seen at ${at}`)
    }),
    { numRuns: 1000 },
  )
})

test('what is foreseen of a crash is what it leaves, and nothing has happened yet', async () => {
  const disks = new Map<string, string>()
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), async (calls, seed) => {
      const sim = simDisk({ capacity: 1_000_000 })
      for (const [, call] of calls) await outcome(call(sim.disk))
      const chooser = (): Chooser => {
        const random = simRandom(seed)
        return (options) => random.int(options)
      }
      const before = said(sim)
      const foreseen = sim.foresee(chooser())
      if (said(sim) !== before) throw new Error(`${said(sim)} after ${before}`)
      sim.crash(chooser())
      if (sim.foresee(everything) !== foreseen) throw new Error(`${said(sim)}, not ${foreseen}`)
      const left = said(sim)
      if ((disks.get(foreseen) ?? left) !== left) throw new Error(`${left} is foreseen as another`)
      disks.set(foreseen, left)
    }),
    { numRuns: 300 },
  )
})

test('a crash under a seed leaves the same every time', async (t) => {
  const left = async (seed: number): Promise<string> => {
    const sim = simDisk({ capacity: 100_000 })
    const random = simRandom(seed)
    for (let n = 0; n < 20; n++) await sim.disk.write(`f${n}`, 0, random.bytes(2000))
    sim.crash(random)
    return said(sim)
  }
  t.equal(await left(1), await left(1))
  t.not(await left(1), await left(2))
})

test('the power can be cut at each call, and from then on nothing answers', async (t) => {
  const cutAt = async (call: number): Promise<[string, boolean]> => {
    const sim = simDisk({ capacity: 1000 })
    sim.onCall(({ call: number }) => {
      if (number === call) sim.cut()
    })
    let done = false
    const work = recipe(sim.disk).then(() => {
      done = true
    })
    await Promise.race([work, sim.whenCut()])
    sim.crash(everything)
    return [said(sim), done]
  }
  t.strictSame(await cutAt(1), ['', false])
  t.strictSame(await cutAt(2), ['partial=whole', false])
  t.strictSame(await cutAt(3), ['partial=whole', false])
  t.strictSame(await cutAt(4), ['final=whole', false])
  t.strictSame(await cutAt(5), ['final=whole', true])
})

test('a program from before the crash never reaches the disk again', async (t) => {
  const sim = simDisk({ capacity: 1000 })
  const old = sim.disk
  sim.crash(nothing)
  let answered = false
  const answer = (): void => {
    answered = true
  }
  void old.write('a', 0, bytes('x')).then(answer, answer)
  await sim.disk.write('b', 0, bytes('y'))
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(answered, false)
  t.equal(said(sim), 'b=y')
  t.equal(sim.calls(), 1)
})

test('a commit can be made to end with the power', async (t) => {
  const sim = simDisk({ capacity: 1000 })
  const seen: string[] = []
  sim.onCall(({ call, method, path }) => seen.push(`${call} ${method} ${path}`))
  t.equal(await sim.during('commit', 'index', () => 7), 7)
  await sim.disk.mkdir('a')
  await sim.disk.list('')
  t.strictSame(seen, ['1 commit index', '2 mkdir a'])
})

test('a full disk takes what fits, says ENOSPC, and has room again after a removal', async (t) => {
  const sim = simDisk({ capacity: 10 })
  const { disk } = sim
  await disk.write('a', 0, bytes('12345678'))
  t.equal(await outcome(disk.write('b', 0, bytes('abcdef'))), 'ENOSPC')
  t.equal(said(sim), 'a=12345678 b=ab')
  t.strictSame((await disk.free()).bytesFree, 0)
  t.equal(await outcome(disk.truncate('a', 9)), 'ENOSPC')
  await disk.write('a', 0, bytes('x'))
  await disk.remove('a')
  await disk.write('b', 2, bytes('cdef'))
  t.equal((await disk.free()).bytesFree, 4)
  await disk.write('c', 0, bytes('1234'))
  await disk.rename('c', 'b')
  t.equal((await disk.free()).bytesFree, 6)
})

test('a sync that failed has lost the bytes, though they are still seen, and the next sync finds nothing to do', async (t) => {
  const sim = simDisk({ capacity: 1000 })
  const { disk } = sim
  await disk.write('a', 0, bytes('x'))
  await disk.syncDir('')
  sim.faults.failNext('sync', 'EIO')
  await t.rejects(disk.sync('a'), new DiskError('EIO', 'sync a'))
  await disk.sync('a')
  t.equal(await text(disk, 'a'), 'x')
  sim.crash(everything)
  t.equal(said(sim), 'a=')
})

test('calls fail as they are told to, so often and at that path', async (t) => {
  const sim = simDisk({ capacity: 1000 })
  const { disk } = sim
  sim.faults.failNext('write', 'EIO', { path: 'b', times: 2 })
  await disk.write('a', 0, bytes('x'))
  t.equal(await outcome(disk.write('b', 0, bytes('x'))), 'EIO')
  t.equal(await outcome(disk.write('b', 0, bytes('x'))), 'EIO')
  await disk.write('b', 0, bytes('x'))
  sim.onCall(() => {
    throw new DiskError('ENOSPC', 'by the test')
  })
  t.equal(await outcome(disk.mkdir('c')), 'ENOSPC')
})

test('a disk that is read-only can be read, and nothing else', async (t) => {
  const sim = simDisk({ capacity: 1000 })
  const { disk } = sim
  await disk.write('a', 0, bytes('x'))
  sim.faults.readOnly(true)
  t.equal(await text(disk, 'a'), 'x')
  t.equal((await disk.list('')).length, 1)
  const refused = [disk.write('a', 0, bytes('y')), disk.remove('a'), disk.mkdir('b')]
  for (const call of refused) t.equal(await call.catch(diskErrorCode), 'EROFS')
  sim.faults.readOnly(false)
  await disk.remove('a')
})

test('a disk that hangs answers nothing until it goes on', async (t) => {
  const time = simClock()
  const sim = simDisk({ capacity: 1000, clock: time.clock })
  sim.faults.hang(120_000)
  const written = sim.disk.write('a', 0, bytes('x')).then(() => time.clock.monotonic())
  await time.run(119_999)
  t.equal(said(sim), '')
  t.equal(await time.finish(written), 120_000)
  t.equal(said(sim), 'a=x')
})

test('calls take the time they are given', async (t) => {
  const time = simClock()
  const sim = simDisk({ capacity: 1000, clock: time.clock, delay: () => 30 })
  await time.finish(recipe(sim.disk))
  t.equal(time.clock.monotonic(), 120)
})

test('rot turns one bit over, for good, and neither size nor time tells', async (t) => {
  const time = simClock()
  const sim = simDisk({ capacity: 1000, clock: time.clock })
  await recipe(sim.disk)
  const before = await sim.disk.stat('final')
  await time.advance(5000)
  sim.faults.rot('final', 1)
  t.equal(await text(sim.disk, 'final'), 'wiole')
  sim.crash(nothing)
  t.equal(await text(sim.disk, 'final'), 'wiole')
  t.strictSame(await sim.disk.stat('final'), before)
})
