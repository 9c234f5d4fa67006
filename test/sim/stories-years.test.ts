// A pillar comes back after 40 days with a clock in 1970; meanwhile files were deleted and replaced, and some of its bytes rotted.

import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { survey } from '../../src/client/list.ts'
import { remove } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { piecesName } from '../../src/sim/chaos-pieces.ts'
import { memoryLanding } from '../../src/sim/memory.ts'
import { day, hour, type Item, present, settled, stage } from './stories.ts'

const signal = new AbortController().signal
const count = 20
/** 5 % of them. */
const some = count / 20

t.test(
  '[VAULT-9] [REP-5] off for 40 days: nothing that was deleted, and no rotten byte, comes back',
  async (t) => {
    const on = await stage('40 days', { pillars: 4 })
    const { fleet, ann, put, item } = on
    const items = Array.from({ length: count }, (_, n) => item(`letters/${n}`, 500 + n))
    t.ok((await put(items)).every(({ outcome }) => outcome === 'stored'))
    await settled(on)
    const board = fleet.boards[3]
    if (!board) throw new Error('there are four')
    board.crash()
    await fleet.time.advance(2 * day)
    const [gone, changed, kept] = [
      items.slice(0, some),
      items.slice(some, 2 * some),
      items.slice(2 * some),
    ]
    for (const { id, checksum } of gone)
      await fleet.time.finish(remove(ann, piecesName, { id, checksum }, ['tracker'], signal), hour)
    const fresh: Item[] = []
    for (const { id, checksum } of changed) {
      const other = { ...item(`new ${id}`, 900), id }
      fresh.push(other)
      const work = replaceFile(ann, piecesName, checksum, other, ['tracker'], { signal })
      await fleet.time.finish(work, hour)
    }
    // 1 % of what it holds, and one at least.
    const paths = [...board.disk.snapshot().keys()].filter(
      (path) => /data\/[0-9a-f]{2}\//.test(path) && !path.endsWith('/'),
    )
    const rotten = paths.slice(0, Math.ceil(paths.length / 100))
    for (const path of rotten) board.disk.faults.rot(path, 7)
    await fleet.time.advance(38 * day)

    board.clock.setOffset(-fleet.time.clock.now())
    await fleet.time.finish(board.start(), hour)
    await fleet.time.advance(hour)
    const names = fleet.boards.map(({ name }) => name)
    t.same(present(fleet), names, 'it is there again, in 1970')
    const found = await fleet.time.finish(survey(ann, piecesName, {}, signal), hour)
    t.same([...found.files.keys()].sort(), [...kept, ...fresh].map(({ id }) => id).sort())
    for (const one of [...gone, ...kept, ...fresh]) {
      const landing = memoryLanding(fleet, one.checksum)
      const work = getBatch(ann, piecesName, [{ id: one.id, landing }], { signal })
      const [got] = await fleet.time.finish(work, hour)
      if (gone.includes(one)) t.not(got?.outcome, 'fetched', `${one.id} was deleted`)
      else t.same(landing.bytes(), one.bytes, one.id)
    }
  },
)
