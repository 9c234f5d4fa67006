// DESIGN.md shows one GetFile as it goes over the wire: what it shows is what is said.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { putBatch } from '../../src/client/put.ts'
import { unseal } from '../../src/protocol/envelope.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { topics } from './wire.ts'

const { signal } = new AbortController()

/** What is another each time, by its name; the rest is shown as it is. */
function shown(line: string): string {
  const message = JSON.parse(line) as Record<string, unknown>
  return JSON.stringify(message, (key, value: unknown) => {
    if (typeof value !== 'string') return value
    if (key === 'id' && /^[0-9a-f-]{36}$/.test(value)) return '<message>'
    if (key === 'conversation') return '<conversation>'
    if (key === 'token') return '<token>'
    if (key === 'checksum' || key === 'partChecksum') return '<sha256>'
    if (/^\d{4}-\d\d-\d\dT/.test(value)) return '<time>'
    return value
  })
}

/** As `mosquitto_sub -v` prints it: the topic, then both lines of the message. */
function printed(topic: string, payload: Uint8Array): string | undefined {
  const sealed = unseal(payload)
  if (!sealed) return undefined
  const line = new TextDecoder().decode(sealed.line)
  return `${topic.replace(/[^/]+$/, (last) => (topic.includes('/replies/') ? '<run>' : last))} ${shown(line).replace(/(replies\/ann\/)[^"]+/, '$1<run>')}\n<algorithm> <key> <signature>`
}

t.test('the transcript of a GetFile in DESIGN.md is what goes over the wire', async (t) => {
  const fleet = await startFleet({ seed: 'transcript', pillars: 2, copiesMin: 2 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'letters/ann.txt', 4_096)
  await fleet.time.finish(putBatch(client, 'home', [item], { signal }))
  const said: string[] = []
  const spy = fleet.broker.connectAs('spy')({
    clientId: 'spy.1',
    persistent: false,
    subscriptions: [
      topics.allCollectionRequests(),
      topics.pillarRequests('+'),
      topics.replies('+', '+'),
    ],
    receive: (topic, payload) => void said.push(printed(topic, payload) ?? ''),
    connected: () => undefined,
    closed: () => undefined,
  })
  await fleet.time.advance(1_000)
  const landing = memoryLanding(fleet)
  const [got] = await fleet.time.finish(
    getBatch(client, 'home', [{ id: item.id, landing, offset: 5, length: 5 }], { signal }),
  )
  await fleet.time.advance(10_000)
  t.equal(got?.outcome, 'fetched')
  const design = readFileSync(join(import.meta.dirname, '../../DESIGN.md'), 'utf8')
  const block = /### One GetFile on the wire\n[\s\S]*?```\n([\s\S]*?)```/.exec(design)?.[1] ?? ''
  t.equal(block.trim(), said.join('\n').trim())
  await spy.close()
})
