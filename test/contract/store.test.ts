// One volume, and pillars with one, two and three, keep one contract.

import { test } from 'tap'
import { rig } from '../store/pool-kit.ts'
import { storeContract } from './store.ts'

for (const count of [1, 2, 3])
  for (const [name, check] of storeContract)
    test(`[VOL-1] ${count} ${count === 1 ? 'volume' : 'volumes'}: ${name}`, async (t) =>
      check(t, await rig(count)))
