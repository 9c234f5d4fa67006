// A pillar comes back after 400 days with a clock in 1970; meanwhile files were deleted and replaced, and some of its bytes rotted.

import t from 'tap'
import { inThread } from './apart.ts'
import type { Years } from './years.worker.ts'

t.test(
  '[VAULT-9] [REP-3] [REP-5] off for 400 days: nothing that was deleted, and no rotten byte, comes back',
  async (t) => {
    const { there, names, reports } = await inThread<Years>('./years.worker.ts')
    t.same(there, names, 'it is there again, in 1970')
    t.same(
      reports.map(({ collection }) => collection),
      ['home', 'pieces'],
    )
    for (const one of reports) {
      t.ok(one.gone.length > 0 && one.changed.length > 0 && one.rotten.length > 0, 'it bites')
      t.same(one.listed, one.wanted, `${one.collection}: those that were not off list no other`)
      t.same(one.right, one.wanted, `${one.collection}: every byte as it was put`)
      t.same(one.back, [], `${one.collection}: nobody gives what was deleted`)
    }
    const [home] = reports
    // Of what differs nobody gets either: people are told.
    const sure = home?.wanted.filter((id) => !home.changed.includes(id))
    t.same(home?.restored, sure, 'who got an empty disk meanwhile has got everything right')
  },
)
