import t from 'tap'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { indexContract } from './index.ts'

indexContract(t, 'in memory', async (t) => {
  const index = openIndex(':memory:')
  t.teardown(() => index.close())
  return asyncIndex(index)
})
