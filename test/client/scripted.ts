// A pillar that answers what a test wants it to, in the place of a real one.

import { answering, compose } from '../../src/post/compose.ts'
import type { ResponseCode } from '../../src/protocol/codes.ts'
import { parse, seal, unseal } from '../../src/protocol/envelope.ts'
import { isRequest, type RequestMessage } from '../../src/protocol/messages.ts'
import { topicsUnder } from '../../src/protocol/topics.ts'
import type { Fleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { simWorld } from '../../src/sim/world.ts'

const topics = topicsUnder('colonnade')

/** One answer: its code, that of each file, and whatever else it has. */
export interface Reply {
  readonly code: ResponseCode
  readonly fields?: object
  readonly progress?: boolean
}
/** What is said to a request, which comes for the n-th time of its type, from 0; nothing when empty. */
export type Script = (request: RequestMessage, n: number) => readonly Reply[]

export interface Scripted {
  readonly name: string
  /** All that was asked of it. */
  readonly asked: readonly RequestMessage[]
  count(type: RequestMessage['type']): number
}

/** Puts a scripted one in the place of the pillar. */
export async function scripted(fleet: Fleet, name: string, script: Script): Promise<Scripted> {
  const board = fleet.boards.find((one) => one.name === name)
  board?.crash()
  await fleet.time.advance(60_000)
  const world = simWorld(fleet.time.clock, fleet.random.fork(`script of ${name}`), name)
  const signer = simSigner(name)
  const asked: RequestMessage[] = []
  const say = (topic: string, message: object, retain = false): void =>
    void bus.publish(topic, seal(JSON.stringify(message), signer), retain).catch(() => undefined)
  const bus = fleet.broker.connectAs(name)({
    clientId: name,
    persistent: false,
    subscriptions: [topics.allCollectionRequests(), topics.pillarRequests(name)],
    receive(_topic, payload) {
      const sealed = unseal(payload)
      const parsed = sealed && parse(sealed.line)
      if (parsed?.is !== 'message' || !isRequest(parsed.message)) return
      const request = parsed.message
      if (request.to && !request.to.includes(name)) return
      const n = asked.filter(({ type }) => type === request.type).length
      asked.push(request)
      for (const reply of script(request, n)) say(request.replyTo, answerOf(request, reply))
    },
    connected: () =>
      say(
        topics.pillarState(name),
        compose<'Presence'>(world, name, {
          ...{ type: 'Presence', state: 'online', version: '0-script' },
          ...{ conversation: '00000000-0000-7000-8000-000000000000', session: 2 ** 48 },
        }),
        true,
      ),
    closed: () => undefined,
  })
  function answerOf(request: RequestMessage, { code, fields, progress = false }: Reply): object {
    const kind = request.type.replace(/Request$/, '')
    const end = progress ? 'ProgressResponse' : 'FinalResponse'
    const type = kind.startsWith('Identify') ? `${kind}Response` : `${kind}${end}`
    const files =
      'files' in request && !progress
        ? { files: request.files.map(({ id }) => ({ id, code })) }
        : {}
    return {
      ...compose(world, name, { type, ...answering(request, name, code) } as never),
      ...files,
      ...(progress ? { filesDone: 0, bytesDone: 0 } : {}),
      ...fields,
    }
  }
  await fleet.time.advance(1_000)
  return {
    name,
    asked,
    count: (type) => asked.filter((one) => one.type === type).length,
  }
}
