// Cables that are pulled, in the middle of a file.

import t from 'tap'
import {
  cutPillar,
  fileBytes,
  pause,
  tellInterrupted,
  withOnePageTwice,
} from '../support/net-cuts.ts'
import type { Network } from '../support/net-hosts.ts'
import { needsNetworks } from '../support/net-possible.ts'

t.test('when a cable is pulled and plugged in again', needsNetworks(t), async (t) => {
  const both = await tellInterrupted(async (network: Network) => {
    network.unplug(cutPillar)
    await pause(5_000)
    network.plug(cutPillar)
  })
  for (const { way, differs, sent } of both)
    await t.test(`a ${way} goes on, and sends at most one page twice`, async (t) => {
      t.equal(differs, '', 'the bytes are equal')
      t.ok(sent <= withOnePageTwice(fileBytes), `${sent} bytes were sent`)
    })
})
