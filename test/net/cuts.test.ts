// Cables that are pulled, and hosts that lose sight of each other, in the middle of a file.

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

const needs = needsNetworks(t)

t.test('when a cable is pulled and plugged in again', needs, async (t) => {
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

t.test('when the hosts lose sight of each other', needs, async (t) => {
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
