import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { nodeDisk } from '../../src/disk/node.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { asyncDisk } from '../support/in-thread.ts'
import { diskContract, outcome, steps } from './disk.ts'

diskContract(t, 'file system', async (t) => {
  const disk = asyncDisk(nodeDisk(t.testdir()))
  t.teardown(() => disk.close())
  return disk
})

diskContract(t, 'in a thread of its own', async (t) => {
  const { disk, close } = await openVolumeThread({ root: t.testdir() })
  t.teardown(close)
  return disk
})

diskContract(t, 'simulated', async () => simDisk({ capacity: 100_000_000 }).disk)

t.test('the simulated disk answers each call as the file system does', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (calls) => {
      const root = mkdtempSync(join(tmpdir(), 'colonnade-disk-'))
      const [real, sim] = [asyncDisk(nodeDisk(root)), simDisk({ capacity: 1_000_000 }).disk]
      try {
        for (const [what, call] of calls) {
          const [expected, got] = [await outcome(call(real)), await outcome(call(sim))]
          const same = JSON.stringify(expected) === JSON.stringify(got)
          if (!same) throw new Error(`${what}: ${JSON.stringify(expected)}, ${JSON.stringify(got)}`)
        }
      } finally {
        await real.close()
        rmSync(root, { recursive: true })
      }
    }),
    { numRuns: 300 },
  )
})
