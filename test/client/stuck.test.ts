// Pillars that say for ever that they are at it: given up in the end, for another one or for good.

import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { putBatch } from '../../src/client/put.ts'
import { limits } from '../../src/limits.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { type Script, scripted } from './scripted.ts'

const { signal } = new AbortController()
const day = 24 * 3_600_000
const forEver: Script = (request) => {
  if (request.type === 'IdentifyPillarsForPutFileRequest')
    return [{ code: 'IDENTIFICATION_POSITIVE' }]
  return request.type === 'GetFileRequest' || request.type === 'PutFileRequest'
    ? [{ code: 'OPERATION_PROGRESS', progress: true, fields: { bytesDone: 0 } }]
    : []
}

t.test('[DEL-6] a get goes on with the next pillar', async (t) => {
  const fleet = await startFleet({ seed: 'stuck get', pillars: 2, copiesMin: 1 })
  const ann = await fleet.client('ann')
  const item = memoryItem(fleet.random, fleet, 'a.bin', 100_000)
  await fleet.time.finish(putBatch(ann, 'home', [item], { signal }))
  const script: Script = (request, n) =>
    request.type === 'IdentifyPillarsForGetFileRequest'
      ? [
          {
            code: 'IDENTIFICATION_POSITIVE',
            fields: {
              timeToDeliver: 0,
              files: [{ id: 'a.bin', code: 'IDENTIFICATION_POSITIVE', size: 100_000 }],
            },
          },
        ]
      : forEver(request, n)
  const stuck = await scripted(fleet, 'pillar-1', script)
  const landing = memoryLanding(fleet, item.checksum)
  const began = fleet.time.clock.monotonic()
  const asked = [{ id: item.id, landing }]
  const [got] = await fleet.time.finish(getBatch(ann, 'home', asked, { signal }), day)
  t.match(got, { outcome: 'fetched', pillar: 'pillar-2' })
  t.ok(stuck.count('GetFileRequest') > 5, 'it was asked again and again')
  const ms = fleet.time.clock.monotonic() - began
  t.ok(ms > limits.transferStallMs && ms < 2 * limits.transferStallMs, `after ${ms} ms`)
})

t.test('[DEL-6] a put ends, and is done with the copies there are', async (t) => {
  const fleet = await startFleet({ seed: 'stuck put', pillars: 3, copiesMin: 2 })
  const ann = await fleet.client('ann')
  await scripted(fleet, 'pillar-1', forEver)
  const item = memoryItem(fleet.random, fleet, 'a.bin', 100_000)
  const began = fleet.time.clock.monotonic()
  const [put] = await fleet.time.finish(putBatch(ann, 'home', [item], { signal }), day)
  t.match(put, { outcome: 'stored', copies: ['pillar-2', 'pillar-3'], owed: ['pillar-1'] })
  const ms = fleet.time.clock.monotonic() - began
  t.ok(ms > limits.transferStallMs && ms < 2 * limits.transferStallMs, `after ${ms} ms`)
})
