/** A UPS by its serial line: asked, and believed only when a whole answer comes in time, and none that was not asked for. */
import type { Line, Serial } from '../serial/serial.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import {
  answerCharsMax,
  cutOrder,
  faultOf,
  megatecBaud,
  parseStatus,
  readingOf,
  statusQuestion,
} from './megatec.ts'
import { type Power, type Reading, unknownReading } from './power.ts'

export interface Q1Options {
  /** `/dev/serial/by-id/...`: the same after the plug was pulled and put in again. */
  readonly path: string
  readonly baud?: number
}

/** An answer is on the line for 200 ms at 2400 baud; devices take up to a second to begin it. */
const answerMs = 1_500
/** An answer that did not come in time may still come, for so long: nothing is asked before. */
const lateMsMax = 10_000
/** After anything strange nothing is asked until the line was silent for so long, and at most so long is waited. */
const quietMs = 500
const quietMsMax = 3_000

/** What makes a reading an unknown one. */
class NoAnswer extends Error {}
/** Not one byte. */
class Silence extends NoAnswer {}

export function q1Power(
  world: Pick<World, 'clock'>,
  serial: Serial,
  { path, baud = megatecBaud }: Q1Options,
): Power {
  let talk: Promise<Talk> | undefined
  const oneAtATime = lock()

  async function opened(): Promise<Talk> {
    const known = await talk?.catch(() => undefined)
    if (known && !known.ended()) return known
    // One that takes long to open is waited for by the next look, too.
    talk = serial.open({ path, baud }).then((line) => talkOn(world.clock, line))
    return talk
  }
  async function look(signal: AbortSignal): Promise<Reading> {
    const one = await ask(await opened(), signal)
    if (!one.low && !one.ending) return one
    // A flipped bit would switch the board off: what is that grave must be said twice.
    const two = await ask(await opened(), signal)
    if (two.low === one.low && two.ending === one.ending) return two
    throw new NoAnswer('two answers in a row contradict each other')
  }
  return {
    async read(signal) {
      try {
        return await oneAtATime(() => look(signal))
      } catch (error) {
        return unknownReading(error instanceof Error ? error.message : String(error))
      }
    },
    cut: (afterMs) =>
      oneAtATime(async () => {
        const line = await opened()
        const answer = await line
          .ask(cutOrder(afterMs), new AbortController().signal)
          .catch((error) => {
            if (error instanceof Silence) return ''
            throw error
          })
        // Most say nothing; who says it again does not know it.
        if (answer !== '' && !answer.startsWith('(ACK')) throw new NoAnswer(faultOf(answer))
      }),
    async close() {
      const known = await talk?.catch(() => undefined)
      await known?.close()
    },
  }
}

async function ask(talk: Talk, signal: AbortSignal): Promise<Reading> {
  const answer = await talk.ask(statusQuestion, signal)
  const status = parseStatus(answer)
  if (status) return readingOf(status)
  talk.distrust()
  throw new NoAnswer(faultOf(answer))
}

interface Talk {
  /** One line, without its end. */
  ask(question: string, signal: AbortSignal): Promise<string>
  /** What comes next may belong to something else: the line has to be silent before it is used again. */
  distrust(): void
  ended(): boolean
  close(): Promise<void>
}

/** Questions and answers on one line. Who is late answers nothing: his words are thrown away before the next question. */
function talkOn(clock: World['clock'], line: Line): Talk {
  let come = ''
  let asked = false
  // Whatever the device said before we were there is no answer either.
  let trusted = false
  /** An answer is still to come, at the latest by then. */
  let owedUntil = Number.NEGATIVE_INFINITY
  let why: string | undefined
  let news = new AbortController()
  line.onBytes((bytes) => {
    if (!asked) {
      trusted = false
      owedUntil = Number.NEGATIVE_INFINITY
    }
    come = (come + String.fromCharCode(...bytes)).slice(-2 * answerCharsMax)
    news.abort()
  })
  void line.closed.then((reason) => {
    why = reason
    news.abort()
  })

  /** Resolves after so long, or as soon as something has come. */
  async function heard(ms: number, signal: AbortSignal): Promise<boolean> {
    news = new AbortController()
    await clock.sleep(ms, AbortSignal.any([news.signal, signal]))
    if (signal.aborted) throw new NoAnswer('stopped')
    if (why !== undefined) throw new NoAnswer(`the line has ended: ${why}`)
    return news.signal.aborted
  }
  async function silence(signal: AbortSignal): Promise<void> {
    while (clock.monotonic() < owedUntil) await heard(owedUntil - clock.monotonic(), signal)
    const until = clock.monotonic() + quietMsMax
    while (await heard(quietMs, signal))
      if (clock.monotonic() > until) throw new NoAnswer('the device talks without being asked')
    trusted = true
  }
  async function answer(signal: AbortSignal): Promise<string> {
    const until = clock.monotonic() + answerMs
    for (;;) {
      const end = come.indexOf('\r')
      if (end >= 0) {
        // Two answers to one question: which is of now?
        if (come.length > end + 1) trusted = false
        return come.slice(0, end)
      }
      if (come.length > answerCharsMax) throw new NoAnswer(faultOf(come))
      const left = until - clock.monotonic()
      if (left <= 0) throw come === '' ? new Silence('no answer') : new NoAnswer(faultOf(come))
      await heard(left, signal)
    }
  }
  return {
    ended: () => why !== undefined,
    distrust() {
      trusted = false
    },
    close: () => line.close(),
    async ask(question, signal) {
      if (!trusted) await silence(signal)
      come = ''
      asked = true
      owedUntil = clock.monotonic() + lateMsMax
      try {
        // A line that does not take it says so by its end, or is silent.
        line.write(new TextEncoder().encode(question)).catch(() => undefined)
        const found = await answer(signal)
        owedUntil = Number.NEGATIVE_INFINITY
        if (!trusted) throw new NoAnswer('more answers than questions')
        return found
      } catch (error) {
        trusted = false
        throw error
      } finally {
        asked = false
        come = ''
      }
    },
  }
}
