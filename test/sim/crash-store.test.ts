// R1: what a volume has promised holds wherever the power is cut, and whatever the disk forgets.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { test } from 'tap'
import type { Explored } from '../store/power.ts'
import type { Exploration } from '../store/power.worker.ts'

/** In a thread of its own: tap watches every promise of its own thread, which takes longer than the work. */
async function explored(exploration: Exploration): Promise<Explored> {
  const url = new URL('../store/power.worker.ts', import.meta.url)
  const worker = new Worker(url, { workerData: exploration, execArgv: [] })
  const [found] = await once(worker, 'message')
  return found
}

const told = ({ states, distinct, violations }: Explored): string =>
  `${states} crash states, ${distinct} of which left different disks, ${violations.length} violations`

let disks = 0

test('[DISK-2] [DISK-4] [DISK-7] what was promised is there wherever the power was cut', async (t) => {
  const found = await explored({ every: 'cut' })
  disks += found.distinct
  t.comment(told(found))
  t.strictSame(found.violations.slice(0, 5), [])
})

test('and where the start after it was cut as well, and the start after that', async (t) => {
  const found = await explored({ every: 'start' })
  disks += found.distinct
  t.comment(told(found))
  t.strictSame(found.violations.slice(0, 5), [])
  t.comment(`R1: ${disks} different crash states of one volume in all`)
  t.ok(disks >= 10_000)
})

const lies = [
  'does not sync bytes',
  'does not sync names',
  'does not sync names in the root',
  'does not sync names in folders of files',
  'does not sync names of folders',
  'does not sync names of partials',
  'does not sync names of manifests',
]

for (const lie of lies)
  test(`a disk that ${lie} is found out`, async (t) => {
    const { states, violations } = await explored({ lie })
    t.comment(`${violations.length} violations in ${states} states, e.g. ${violations[0]}`)
    t.ok(violations.length > 0)
  })
