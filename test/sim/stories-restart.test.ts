// The tracker ends between any two steps of joining and of a distribution, and starts again; also without its disk.

import { strict as assert } from 'node:assert'
import t from 'tap'
import type { Message } from '../../src/protocol/messages.ts'
import { hour, type Item, minute, mustHold, type Stage, settled, stage } from './stories.ts'

const isStep = ({ type }: Message): boolean => /^(Client|Tracker|Fragment|File)/.test(type)

interface Cut {
  /** After so many events that reached the broker. */
  readonly after: number
  readonly diskLost?: boolean
  readonly brokerWiped?: boolean
  readonly from?: 'start' | 'secondPut'
}

/** The power of the tracker fails there; it is back 20 s later. Gives the words that were said before. */
async function told({ after, diskLost, brokerWiped, from = 'start' }: Cut): Promise<string[]> {
  const on = await stage('restart', { joined: from !== 'start' })
  const { fleet } = on
  const first = on.item('letters', 1_000)
  if (from !== 'start') await stored(on, [first])
  const said: string[] = []
  let cut: Promise<void> | undefined
  let over = false
  async function powerCut(): Promise<void> {
    fleet.tracker.crash()
    if (diskLost) fleet.tracker.lose()
    if (brokerWiped) fleet.broker.wipe(1_000)
    await fleet.time.clock.sleep(20_000)
    await fleet.tracker.start()
  }
  on.lose(({ message, to }) => {
    if (to !== undefined || over || !isStep(message)) return false
    const stage = 'stage' in message ? ` ${message.stage}` : ''
    if (cut === undefined) said.push(`${message.type}${stage} of ${message.from}`)
    if (said.length === after) cut ??= fleet.time.clock.sleep(0).then(powerCut)
    return false
  })
  if (from === 'start') await fleet.time.advance(20_000)
  const items = [on.item('a film', 70_000)]
  await stored(on, items)
  await fleet.time.advance(1_000)
  over = true
  await fleet.time.finish(cut ?? Promise.resolve())
  // What had not been acknowledged is put again; what had been comes back by itself.
  await stored(on, items)
  await settled(on, 30 * hour)
  await mustHold(on, [...(from === 'start' ? [] : [first]), ...items])
  assert(cut !== undefined || after === Number.POSITIVE_INFINITY, 'the power was cut')
  return said
}

/** Says it again until it is stored, as whoever has one keeper does. */
async function stored({ put, fleet }: Stage, items: readonly Item[]): Promise<void> {
  for (let n = 0; n < 20; n++) {
    const results = await put(items)
    if (results.every(({ outcome }) => outcome === 'stored')) return
    await fleet.time.advance(minute)
  }
  throw new Error('it is not stored after twenty tries')
}

const steps = await told({ after: Number.POSITIVE_INFINITY })
t.test('[DIST-8] [JOIN-1] without a cut', async (t) =>
  t.ok(steps.length > 20, `${steps.length} steps`),
)
for (const [n, step] of steps.entries())
  t.test(
    `[DIST-8] [JOIN-1] the tracker is started anew after step ${n + 1}, ${step}`,
    async (t) => {
      await t.resolves(told({ after: n + 1 }))
    },
  )

const second = await told({ after: Number.POSITIVE_INFINITY, from: 'secondPut' })
for (const [n, step] of second.entries()) {
  if (!/Obtained|Ended|FileInfo/.test(step)) continue
  const cut: Cut = { after: n + 1, from: 'secondPut', diskLost: true, brokerWiped: true }
  t.test(
    `[VAULT-9] the broker forgets, and the tracker's disk is lost, after ${step} (${n + 1})`,
    async (t) => {
      await t.resolves(told(cut))
    },
  )
}
