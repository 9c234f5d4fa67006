import t from 'tap'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { indexContract } from './index.ts'
import { removalsContract } from './removals.ts'
import { trailContract } from './trail.ts'

const contracts = [indexContract, removalsContract, trailContract]

for (const contract of contracts)
  contract(t, 'in memory', async (t) => {
    const index = openIndex(':memory:')
    t.teardown(() => index.close())
    return asyncIndex(index)
  })

for (const contract of contracts)
  contract(t, 'in a thread of its own', async (t) => {
    const { index, close } = await openVolumeThread({ root: t.testdir(), index: '.index.sqlite' })
    t.teardown(close)
    return index
  })
