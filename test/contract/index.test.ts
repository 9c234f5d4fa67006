import t from 'tap'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { indexContract } from './index.ts'
import { trailContract } from './trail.ts'

for (const contract of [indexContract, trailContract])
  contract(t, 'in memory', async (t) => {
    const index = openIndex(':memory:')
    t.teardown(() => index.close())
    return asyncIndex(index)
  })

for (const contract of [indexContract, trailContract])
  contract(t, 'in a thread of its own', async (t) => {
    const { index, close } = await openVolumeThread({ root: t.testdir(), index: '.index.sqlite' })
    t.teardown(close)
    return index
  })
