// Hosts that lose sight of each other, in the middle of a file.

import t from 'tap'
import { cutPillar, fileBytes, tellInterrupted, withOnePageTwice } from '../support/net-cuts.ts'
import type { Network } from '../support/net-hosts.ts'
import { needsNetworks } from '../support/net-possible.ts'

t.test('when the hosts lose sight of each other', needsNetworks(t), async (t) => {
  const both = await tellInterrupted(async (network: Network) =>
    network.hide(['client', cutPillar]),
  )
  for (const { way, differs, before, throughTracker } of both)
    await t.test(`a ${way} goes on through the relay, at most one page back`, async (t) => {
      t.equal(differs, '', 'the bytes are equal')
      t.ok(throughTracker > 8_000_000, 'the rest went through the tracker')
      const rest = fileBytes - before / 1.05
      const text = `${throughTracker} bytes went through it for the ${rest} that were missing`
      t.ok(throughTracker <= withOnePageTwice(rest), text)
    })
})
