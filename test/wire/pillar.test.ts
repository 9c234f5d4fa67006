// What the conformance suite can not see of a pillar, or does not ask of it.

import t from 'tap'
import { startFleet } from '../../src/sim/fleet.ts'
import { groundInSimulation } from '../conformance/fleet.ts'
import { openPeer } from '../conformance/peer.ts'
import { topics, wire } from './wire.ts'

t.test('[MSG-4] the tracker too answers what it does not understand', async (t) => {
  const fleet = await startFleet({ seed: 2, pillars: 1, copiesMin: 1 })
  const ann = await wire(fleet)
  const status = ann.make<'GetStatusRequest'>({ type: 'GetStatusRequest' })
  await ann.say(topics.trackerRequests(), { ...status, type: 'FoldArchiveRequest' })
  t.match(await ann.wait('NotUnderstoodResponse'), {
    ...{ from: 'tracker', about: 'FoldArchiveRequest' },
    responseInfo: { code: 'REQUEST_NOT_UNDERSTOOD_FAILURE' },
  })
})

t.test('[DISK-2] bytes that are not those announced leave nothing on the disk', async (t) => {
  const { fleet, ground } = await groundInSimulation('leftovers')
  const put = async (): Promise<string | undefined> => {
    const peer = await openPeer(ground)
    const item = { ...peer.item('bad.bin'), checksum: '0'.repeat(64) }
    return (await peer.final(peer.putting([item]))).files[0]?.code
  }
  t.equal(await fleet.time.finish(put()), 'NEW_FILE_CHECKSUM_FAILURE')
  await fleet.time.advance(60_000)
  const left = [...(fleet.boards[0]?.disk.snapshot().keys() ?? [])].filter((path) =>
    /^\.incoming\/.|^home\/data\/./.test(path),
  )
  t.same(left, [])
})
