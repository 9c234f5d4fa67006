// The sequences of MyTorrent's design, message by message, as a subscriber of mosquitto sees them.

import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { parse, unseal } from '../../src/protocol/envelope.ts'
import type { Message, MessageOf } from '../../src/protocol/messages.ts'
import { decide } from '../../src/setup/found.ts'
import { claimsOf } from '../../src/transfer/token.ts'
import { issue } from '../../src/trust/certificates.ts'
import { makeKeyPair } from '../../src/trust/keys.ts'
import { type Archive, makeArchive, pillarNames } from '../support/archive.ts'
import { quietWorld } from '../support/brokers.ts'
import { writeNoise } from '../support/files.ts'
import { until } from '../support/until.ts'

const films = 'films'

interface Heard {
  readonly topic: string
  readonly message: Message
}

/** Who may read everything, and says nothing. */
async function recorder(archive: Archive): Promise<{ heard: Heard[]; close(): Promise<void> }> {
  const { home } = archive
  appendFileSync(join(home, 'mosquitto', 'acl'), '\nuser recorder\ntopic read colonnade/#\n')
  archive.mosquitto?.start()
  await archive.mosquitto?.ready()
  const pem = (name: string): string => readFileSync(join(home, 'archive', name), 'utf8')
  const pair = makeKeyPair()
  const cert = await issue(
    { certificate: pem('ca.pem'), privateKey: pem('ca.key') },
    { name: 'recorder', publicKey: pair.publicKey },
  )
  const url = /^url = "(.+)"$/m.exec(
    readFileSync(join(home, 'tracker', 'tracker.toml'), 'utf8').split('[broker]')[1] ?? '',
  )
  const heard: Heard[] = []
  let up = (): void => undefined
  const connected = new Promise<void>((resolve) => {
    up = resolve
  })
  const bus = mqttBus({
    url: url?.[1] ?? '',
    identity: 'broker',
    tls: { ca: pem('ca.pem'), cert, key: pair.privateKey },
    world: quietWorld(),
  })({
    ...{ clientId: 'recorder', persistent: false, subscriptions: ['colonnade/#'] },
    receive(topic, payload) {
      const sealed = unseal(payload)
      const parsed = sealed && parse(sealed.line)
      if (parsed?.is === 'message') heard.push({ topic, message: parsed.message })
    },
    connected: () => up(),
    closed: () => undefined,
  })
  await connected
  return { heard, close: () => bus.close() }
}

const archive = await makeArchive(t, 'mosquitto')
const { home } = archive
const one = { name: films, pillars: [...pillarNames], copiesMin: 2, algorithm: 'sha256' as const }
decide(home, { ...one, fragments: { bytes: 262_144, copies: 2 } })
const { heard, close } = await recorder(archive)
t.teardown(close)

const all = <T extends Message['type']>(type: T): MessageOf<T>[] =>
  heard.flatMap(({ message }) => (message.type === type ? [message as MessageOf<T>] : []))
/** Where it was heard, by what it is; -1 when it was not. */
const place = (is: (message: Message) => boolean, topic: string): number =>
  heard.findIndex((one) => one.topic === `colonnade/${topic}` && is(one.message))
const inOrder = (places: readonly number[]): boolean =>
  places.every((at, n) => at >= 0 && at > (places[n - 1] ?? -1))

t.test('[JOIN-3] ClientJoin_StandardProcedure, step by step', async (t) => {
  await archive.start()
  await until('all are registered', () => all('ClientRegistered').length >= 3)
  for (const pillar of pillarNames) {
    const registered = all('ClientRegistered').find(
      (one) =>
        one.pillar === pillar &&
        all('ClientJoinRequested').some(({ conversation }) => conversation === one.conversation),
    )
    const { conversation } = registered ?? {}
    const said = (type: Message['type'], from: string) => (message: Message) =>
      message.type === type && message.from === from && message.conversation === conversation
    const steps = [
      place(({ type, from }) => type === 'TrackerHello' && from === 'tracker', 'tracker/hello'),
      place(said('ClientJoinRequested', pillar), 'clients/join/requested'),
      place(said('ClientJoinAccepted', 'tracker'), 'clients/join/accepted'),
      place(said('ClientJoinSucceeded', pillar), 'clients/join/succeeded'),
      place(said('ClientRegistered', 'tracker'), 'clients/registered'),
    ]
    t.ok(inOrder(steps), `${pillar}: hello, requested, accepted, succeeded, registered: ${steps}`)
  }
  t.equal(all('ClientJoinDenied').length + all('ClientJoinFailed').length, 0)
})

t.test('[DIST-1] FragmentDistribution_StandardProcedure, step by step', async (t) => {
  const source = join(home, 'source')
  writeNoise(join(source, 'film'), 200_000, 7)
  const put = await (await archive.colonnade(['put', films, source])).ended
  t.equal(put.code, 0, put.errors)
  await until('the file info is published', () => all('FileInfoPublished').length > 0)
  const started = all('FragmentDistributionStarted')[0]
  const hash = started?.fragments.find(({ kind }) => kind === 'slice')?.hash ?? ''
  const of =
    <T extends Message['type']>(type: T, is: (message: MessageOf<T>) => boolean) =>
    (message: Message): boolean =>
      message.type === type &&
      message.conversation === started?.conversation &&
      is(message as MessageOf<T>)
  const ended = all('FragmentDistributionEnded').find(({ fragments }) =>
    fragments.some((one) => one.hash === hash && one.holders.length === 2),
  )
  const holders = ended?.fragments.find((one) => one.hash === hash)?.holders ?? []
  t.equal(holders.length, 2)
  const topic = (name: string): string => `fragments/distribution/${name}`
  const step = {
    started: place((message) => message === started, topic('started')),
    requested: (from: string) =>
      place(
        of(
          'FragmentDistributionRequested',
          (one) => one.from === from && one.fragments.includes(hash),
        ),
        topic('requested'),
      ),
    delivered: (to: string) =>
      place(
        of('FragmentDistributionDelivered', ({ fragments }) =>
          fragments.some((one) => one.hash === hash && one.recipients.includes(to)),
        ),
        topic('delivered'),
      ),
    obtained: (from: string, stage: 'temporary' | 'persisted') =>
      place(
        of(
          'FragmentDistributionObtained',
          (one) => one.from === from && one.stage === stage && one.fragments.includes(hash),
        ),
        topic('obtained'),
      ),
    ended: (holder: string) =>
      place(
        of('FragmentDistributionEnded', ({ fragments }) =>
          fragments.some((one) => one.hash === hash && one.holders.includes(holder)),
        ),
        topic('ended'),
      ),
  }
  for (const pillar of holders) {
    const steps = [
      step.started,
      step.requested(pillar),
      step.delivered(pillar),
      step.obtained(pillar, 'temporary'),
      step.ended(pillar),
      step.obtained(pillar, 'persisted'),
    ]
    t.ok(
      inOrder(steps),
      `${pillar}: started, requested, delivered, obtained, ended, obtained: ${steps}`,
    )
  }
  const info = place(({ type }) => type === 'FileInfoPublished', 'files/info')
  const last = Math.max(...holders.map((pillar) => step.obtained(pillar, 'persisted')))
  t.ok(info > last, 'the file info comes after its fragments are safe')

  const delivered = all('FragmentDistributionDelivered')[0]
  const claims = claimsOf(delivered?.transmission.token ?? '')
  t.equal(claims?.iss, 'tracker')
  t.equal(claims?.dir, 'down')
  const named = delivered?.fragments.flatMap(({ recipients }) => recipients) ?? []
  t.strictSame(new Set(claims?.hld), new Set(named), 'for who is named, and nobody else')
  const bytes = Math.max(...heard.map(({ message }) => JSON.stringify(message).length))
  t.ok(bytes < 65_536, 'no event carries content')
})

t.test('[JOIN-6] ClientGoodbye and TrackerGoodbye', async (t) => {
  await archive.pillars['pillar-3'].kill('SIGTERM')
  const offline = (message: Message): boolean =>
    message.type === 'Presence' && message.state === 'offline'
  const gone = (): number => place(offline, 'pillars/pillar-3/state')
  await until('it is offline', () => gone() >= 0)
  const left = place(({ from }) => from === 'pillar-3', 'clients/goodbye')
  t.ok(inOrder([left, gone()]), 'goodbye comes first')
  await archive.tracker.kill('SIGTERM')
  await until('it says goodbye', () => all('TrackerGoodbye').length > 0)
  t.ok(place(({ from }) => from === 'tracker', 'tracker/goodbye') > left)
})
