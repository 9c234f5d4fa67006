// Every message of joining and of a distribution is lost once: on its way to the broker, and on each way from there.

import { strict as assert } from 'node:assert'
import t from 'tap'
import {
  hour,
  type Item,
  minute,
  mustHold,
  type Said,
  type Stage,
  settled,
  stage,
} from './stories.ts'

/** Which of the messages of one kind, on which way. */
interface Place {
  readonly type: string
  readonly from: string
  /** Absent: on its way to the broker. */
  readonly to: string | undefined
  readonly nth: number
}

const wayOf = ({ message, to }: Pick<Said, 'message' | 'to'>): string =>
  `${message.type} ${message.from} ${to ?? ''}`
const steps = [
  ...['TrackerHello', 'ClientJoinRequested', 'ClientJoinAccepted', 'ClientJoinSucceeded'],
  ...['ClientRegistered', 'FragmentDistributionStarted', 'FragmentDistributionRequested'],
  ...['FragmentDistributionDelivered', 'FragmentDistributionObtained', 'FragmentDistributionEnded'],
  'FileInfoPublished',
]

const files = (on: Stage): Item[] => [on.item('a film', 70_000)]

/** All join, and one file of two fragments is put; the events on this way, in this place, are lost. */
async function told(lost?: Place): Promise<{ places: Place[]; ended: boolean }> {
  const on = await stage('hops', { joined: false })
  const counts = new Map<string, number>()
  const places: Place[] = []
  const [begun, ended] = [new Set<string>(), new Set<string>()]
  on.lose((said) => {
    const { message, to } = said
    const nth = counts.get(wayOf(said)) ?? 0
    counts.set(wayOf(said), nth + 1)
    const { type, from, conversation } = message
    // Who hears himself, or is no pillar, is in no diagram.
    if (to === from || to === 'tracker.vault' || !steps.includes(type)) return false
    if (to === undefined && type === 'FragmentDistributionStarted') begun.add(conversation)
    if (to === undefined && type === 'FragmentDistributionEnded') ended.add(conversation)
    places.push({ type, from, to, nth })
    return lost?.type === type && lost.from === from && lost.to === to && lost.nth === nth
  })
  await on.fleet.time.advance(20_000)
  const items = files(on)
  const results = await on.put(items)
  if (results.some(({ outcome }) => outcome !== 'stored')) throw new Error('it was not stored')
  await settled(on, hour, minute)
  await mustHold(on, items)
  assert.equal(on.fleet.broker.counters.lost, lost ? 1 : 0, 'it was said, and lost')
  return { places, ended: [...begun].every((one) => ended.has(one)) }
}

const { places } = await told()
t.test('[JOIN-3] [DIST-1] calm, each step is said', async (t) => {
  for (const type of steps)
    t.ok(
      places.some((one) => one.type === type),
      type,
    )
})
for (const lost of places) {
  const { type, from, to, nth } = lost
  const way = to === undefined ? `of ${from} before the broker` : `of ${from} to ${to}`
  t.test(
    `[JOIN-3] [DIST-10] ${type} ${way}, ${nth + 1}: lost once, nothing is missing`,
    async (t) => {
      const { ended } = await told(lost)
      t.ok(ended, 'every distribution has ended')
    },
  )
}
