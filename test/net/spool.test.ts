// A relay that is smaller than what goes through it.

import t from 'tap'
import { MiB } from '../support/net-files.ts'
import { needsNetworks, scaled } from '../support/net-possible.ts'
import { spoolStory, three } from '../support/net-stories.ts'

t.test(
  'a file four times as big as the spool reaches three pillars of which one is ten times slower',
  needsNetworks(t),
  async (t) => {
    const quota = scaled(512, 64) * MiB
    const bytes = scaled(4096, 256) * MiB
    const told = await spoolStory({ bytes, quota, bitsPerSecond: scaled(800e6, 400e6) })
    t.same(told.stored, [...three], 'all have all of it')
    // Folders and the last blocks of files take a little beside the bytes.
    t.ok(told.spoolPeak <= quota + 64 * 1024, `the spool took at most ${told.spoolPeak} bytes`)
    t.ok(told.spoolPeak > 0, 'the file did go through the spool')
    const { tracker } = told.memory
    t.ok((tracker?.peak ?? 0) < 100 * MiB, `the tracker took at most ${tracker?.peak} bytes`)
    const growth = told.trackerLate - told.trackerEarly
    t.ok(growth < 24 * MiB, `and ${growth} more at the end than at the beginning`)
  },
)
