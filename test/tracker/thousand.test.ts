// The measurement of a thousand pillars and a million fragments, at a hundredth of the size.

import t from 'tap'
import { thousand } from '../../scripts/measure/thousand.ts'

t.test(
  '[JOIN-5] [VIEW-5] many pillars join at once, and the view is rebuilt from them',
  async (t) => {
    const table = await thousand({ scale: 0.01, nodeOptions: [] })
    t.match(table, '10 pillars, 10000 fragments')
    const version = Number(/version (\d+) of the membership has all/.exec(table)?.[1])
    t.ok(version >= 1 && version <= 4, `${version} versions for ten joins`)
    const requests = Number(/rebuilt from their inventories: (\d+) requests/.exec(table)?.[1])
    t.ok(requests > 10 && requests < 500, `${requests} requests for 20 000 copies`)
    const [, said, heard] =
      /: ([\d.]+) messages by the tracker.* ([\d.]+) by pillars/.exec(table) ?? []
    t.ok(Number(said) < 2, `${said} messages of the tracker a fragment`)
    t.ok(Number(heard) < 8, `${heard} of pillars`)
  },
)
