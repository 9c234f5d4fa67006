// What `npm run measure -- fragments` does, at a hundredth of the size.

import { join } from 'node:path'
import t from 'tap'
import { piecesStory } from '../support/pieces-story.ts'

t.test(
  '[VAULT-1] [VAULT-9] six pillars of different sizes, two of them and the tracker killed: nothing is lost',
  async (t) => {
    const bytes = 30_000_000
    const told = await piecesStory({
      ...{ home: join(t.testdirName, 'it'), bytes, bundled: true },
      say: (text) => t.comment(text),
    })
    t.equal(told.differs, '')
    t.ok(told.bytes >= bytes)
    t.ok(told.spread.every((one) => one.bytes > 0))
    t.equal(told.full.after, told.full.before, 'a pillar without room takes nothing more')
  },
)
