import { join } from 'node:path'
import t from 'tap'
import { openState } from '../../src/state/sqlite.ts'
import { stateContract } from './state.ts'

stateContract(t, 'in memory', async () => openState(':memory:'))

stateContract(t, 'file', async (t) => {
  const state = openState(join(t.testdir(), 'state.sqlite'))
  t.teardown(() => state.close())
  return state
})

t.test('what was changed is there after opening again, and nobody else has it open', async (t) => {
  const path = join(t.testdir(), 'state.sqlite')
  const first = openState(path)
  await first.change([['session', '7']])
  t.throws(() => openState(path), { code: 'busy' })
  await first.close()
  await first.close()
  const second = openState(path)
  t.equal(await second.get('session'), '7')
  await second.close()
})

t.test('a change that fails changes nothing', async (t) => {
  const state = openState(':memory:')
  const bad: [string, string] = ['b', Object.create(null)]
  await t.rejects(state.change([['a', '1'], bad]))
  t.strictSame(await state.list(''), [])
})
