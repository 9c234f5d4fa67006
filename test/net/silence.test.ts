// Packets that vanish without a word, in the middle of a file.

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

const silenceMs = 40_000

t.test('after 40 s of silence', needsNetworks(t), async (t) => {
  const both = await tellInterrupted(async (network: Network) => {
    network.silence(cutPillar)
    await pause(silenceMs)
    network.plug(cutPillar)
  })
  for (const { way, differs, sent, throughTracker } of both)
    await t.test(`a ${way} goes on, and sends at most one page twice the same way`, async (t) => {
      t.equal(differs, '', 'the bytes are equal')
      // While nothing came, the relay was asked: what it got before the near way was open again is sent in vain.
      const text = `${sent} bytes were sent, ${throughTracker} of them to the relay`
      t.ok(sent <= withOnePageTwice(fileBytes) + throughTracker, text)
    })
})
