/** Members of an archive that only talk: as many pillars as wanted, and a client that asks them. */

import { mqttBus } from '../../src/bus/mqtt.ts'
import { answering, compose, expiryText, uuid7 } from '../../src/post/compose.ts'
import { startPost } from '../../src/post/post.ts'
import type { Message } from '../../src/protocol/messages.ts'
import { topicsUnder } from '../../src/protocol/topics.ts'
import { openState } from '../../src/state/sqlite.ts'
import { systemWorld } from '../../src/system/world.ts'
import { openDirectory, sealDocument } from '../../src/trust/directory.ts'
import { keyOfCertificate, makeKeyPair, nodeKeys, nodeSigner } from '../../src/trust/keys.ts'
import type { Credentials } from '../../test/support/pki.ts'

/** What all of them know; as it is sent to another process. */
export interface Crowd {
  readonly url: string
  readonly owner: string
  readonly document: string
  readonly tls: Readonly<Record<string, Credentials>>
  readonly pillars: readonly string[]
}

const collection = 'home'
const topics = topicsUnder('colonnade')
const world = systemWorld('bench', 'error')

export async function newCrowd(
  count: number,
  port: number,
  credentialsOf: (name: string) => Promise<Credentials>,
): Promise<Crowd> {
  const pillars = Array.from({ length: count }, (_, n) => `pillar-${n}`)
  const tls: Record<string, Credentials> = {}
  for (const name of [...pillars, 'ann']) tls[name] = await credentialsOf(name)
  const owner = makeKeyPair()
  const document = sealDocument(
    {
      archive: 'bench',
      version: 1,
      issuedAt: new Date().toISOString(),
      identities: Object.entries(tls).map(([name, { cert }]) => {
        const role = name === 'ann' ? 'client' : 'pillar'
        return { name, role, publicKey: keyOfCertificate(cert) } as const
      }),
      collections: [{ name: collection, pillars, copiesMin: 1, algorithm: 'sha256' }],
      exchanges: [],
    },
    nodeSigner(owner.privateKey),
  )
  return {
    url: `mqtts://127.0.0.1:${port}`,
    owner: owner.publicKey,
    document: Buffer.from(document).toString('base64'),
    tls,
    pillars,
  }
}

export interface Member {
  /** Asks all pillars, and waits for so many answers; the moments of the first and of the last. */
  ask(answers: number): Promise<{ first: number; last: number }>
  close(): Promise<void>
}

/** Resolves once the member is connected. A pillar answers by itself. */
export async function joinAs(crowd: Crowd, name: string): Promise<Member> {
  const keys = nodeKeys()
  const tls = crowd.tls[name]
  if (!tls) throw new Error(`${name} is nobody`)
  const parts = { keys, owner: crowd.owner, archive: 'bench', state: openState(':memory:') }
  const directory = await openDirectory(parts, Buffer.from(crowd.document, 'base64'))
  const isPillar = crowd.pillars.includes(name)
  const replyTo = topics.replies(name, 'bench')
  let heard = (_: Message): void => undefined
  let isUp = (): void => undefined
  const up = new Promise<void>((resolve) => {
    isUp = resolve
  })
  const post = startPost(
    {
      ...{ world, identity: name, keys, directory, topics },
      signer: nodeSigner(tls.key),
      connect: mqttBus({ url: crowd.url, identity: 'broker', tls, world }),
      clientId: name,
      persistent: false,
      subscriptions: isPillar ? [topics.collectionRequests(collection)] : [replyTo],
      refresh: async () => undefined,
    },
    {
      connected: () => isUp(),
      async mail({ message }) {
        if (!isPillar) return heard(message)
        if (message.type !== 'IdentifyPillarsForPutFileRequest') return
        const answer = compose<'IdentifyPillarsForPutFileResponse'>(world, name, {
          type: 'IdentifyPillarsForPutFileResponse',
          ...answering(message, name, 'IDENTIFICATION_POSITIVE'),
          timeToDeliver: 1_000,
          files: message.files.map(({ id }) => ({ id, code: 'IDENTIFICATION_POSITIVE' as const })),
        })
        void post.send(message.replyTo, answer)
      },
    },
  )
  await up
  return {
    async ask(answers) {
      const conversation = uuid7(world)
      const from = new Set<string>()
      let first = 0
      const all = new Promise<void>((resolve) => {
        heard = (message) => {
          if (message.conversation !== conversation) return
          if (from.size === 0) first = performance.now()
          from.add(message.from)
          if (from.size === answers) resolve()
        }
      })
      const file = { id: 'file', size: 10_000, checksum: 'a'.repeat(64) }
      const request = compose<'IdentifyPillarsForPutFileRequest'>(world, name, {
        type: 'IdentifyPillarsForPutFileRequest',
        ...{ conversation, collection, replyTo },
        expiresAt: expiryText(world, 30_000),
        files: [{ ...file, mtime: '2026-01-01T00:00:00.000Z' }],
      })
      void post.send(topics.collectionRequests(collection), request)
      await all
      return { first, last: performance.now() }
    },
    close: () => post.close(),
  }
}
