// Bytes between hosts of one network stay in it.

import t from 'tap'
import { needsNetworks, scaled } from '../support/net-possible.ts'
import { lanStory } from '../support/net-stories.ts'

t.test(
  'a big file that is put and fetched on one network sends less than 1 MB through the tracker',
  needsNetworks(t),
  async (t) => {
    const bytes = scaled(1e9, 1e8)
    const told = await lanStory(bytes)
    t.equal(told.differs, '')
    t.ok(told.putThroughTracker < 1e6, `${told.putThroughTracker} bytes for the put`)
    t.ok(told.getThroughTracker < 1e6, `${told.getThroughTracker} bytes for the get`)
  },
)
