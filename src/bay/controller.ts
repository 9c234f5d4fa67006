/**
 * Several bays behind one controller on a serial line. What a bay is, only an answer says that came to the very request:
 * silence, garbage and what comes late are never taken for on or off. Bays are switched on one at a time.
 */
import type { Line, Serial } from '../serial/serial.ts'
import { gate, lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import type { Switch } from './bay.ts'
import { type BayState, type Frame, frames, statesOf, written } from './frames.ts'

export interface ControllerOptions {
  readonly path: string
  readonly baud: number
  /** The supply carries so many disks at a time; more wait until another sleeps. As many as the controller has when absent. */
  readonly onMax?: number
}

export interface Controller {
  /** Bays count from 0. */
  bay(slot: number): Switch
  close(): Promise<void>
}

/** An answer comes at once; the line is slow, and an adapter may be asleep. */
const answerMs = 1_000
const triesMax = 5
const pauseMs = 500
/** From the order until the controller says that it is done; it refuses while another disk starts. */
const switchMs = 60_000
/** Between the starts of two disks: their makers ask for 12 s, as a motor takes the most current while it starts. */
const staggerMs = 12_000

/** The controller said no for now: another disk starts, or there is no current left. */
class Refused extends Error {}

export function controller(world: World, serial: Serial, options: ControllerOptions): Controller {
  const { clock } = world
  const link = linkTo(world, serial, options)
  const starting = lock()
  const current = gate(options.onMax ?? Number.POSITIVE_INFINITY)
  const leave = new Map<number, () => void>()
  /** No other disk starts before. */
  let startsAt = 0

  async function ask(slot: number, ...words: string[]): Promise<BayState> {
    const answer = await link.ask(words)
    const [code = '', text = ''] = answer
    if (code === 'BUSY' || code === 'POWER') throw new Refused(`the controller says ${code}`)
    const state = code === 'OK' ? statesOf(text)?.[slot] : undefined
    if (state === undefined)
      throw new Error(`the controller has no bay ${slot}: ${answer.join(' ')}`)
    return state
  }

  /** Orders, then looks until it is so; the last look decides. */
  async function until(slot: number, wanted: 'on' | 'off'): Promise<void> {
    const end = clock.monotonic() + switchMs
    let why = ''
    let order = true
    for (;;) {
      try {
        const state = await ask(slot, ...(order ? [wanted.toUpperCase(), `${slot}`] : ['STATE']))
        if (state === wanted) return
        if (state === 'fault') throw new Error(`bay ${slot} has a fault`)
        // It may have begun anew, and knows nothing of the order.
        order = wanted === 'off' || state !== 'starting'
        why = `bay ${slot} is ${state}, and should be ${wanted}`
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        why = error.message
        order = true
      }
      if (clock.monotonic() >= end) throw new Error(why)
      await clock.sleep(pauseMs)
    }
  }

  return {
    bay: (slot) => ({
      async on() {
        if (!leave.has(slot)) leave.set(slot, await current.enter())
        await starting(async () => {
          await clock.sleep(startsAt - clock.monotonic())
          await until(slot, 'on')
          startsAt = clock.monotonic() + staggerMs
        })
      },
      async off() {
        await until(slot, 'off')
        leave.get(slot)?.()
        leave.delete(slot)
      },
    }),
    close: () => link.close(),
  }
}

interface Link {
  /** The words of the answer, without those of the request. Rejects when none came. */
  ask(words: readonly string[]): Promise<readonly string[]>
  close(): Promise<void>
}

/** One question at a time; a line that ended is opened again with the next try. */
function linkTo(world: World, serial: Serial, options: ControllerOptions): Link {
  const { clock, log } = world
  const one = lock()
  let line: Line | undefined
  let number = Math.floor(world.random.next() * 255)
  let heard: (frame: Frame) => void = () => undefined

  async function opened(): Promise<Line> {
    if (line !== undefined) return line
    const fresh = await serial.open(options)
    const take = frames()
    fresh.onBytes((bytes) => {
      for (const frame of take(bytes)) heard(frame)
    })
    void fresh.closed.then((why) => {
      if (line === fresh) line = undefined
      log.info('bay.lineEnded', { why })
    })
    line = fresh
    return fresh
  }

  /** Each try has a number of its own: what is late answers nothing. */
  async function attempt(words: readonly string[]): Promise<readonly string[] | undefined> {
    number = (number % 255) + 1
    const mine = number
    const over = new AbortController()
    let answer: readonly string[] | undefined
    heard = (frame) => {
      const [verb, ...rest] = frame.words
      if (frame.number !== mine || verb !== words[0]) return
      answer = rest
      over.abort()
    }
    try {
      const ready = await opened()
      await ready.write(new TextEncoder().encode(written({ number: mine, words })))
      void ready.closed.then(() => over.abort())
      await clock.sleep(answerMs, over.signal)
    } catch (error) {
      log.debug('bay.lineFailed', { why: String(error) })
    } finally {
      heard = () => undefined
    }
    return answer
  }

  return {
    ask: (words) =>
      one(async () => {
        for (let tries = 0; tries < triesMax; tries++) {
          if (tries > 0) await clock.sleep(pauseMs)
          const answer = await attempt(words)
          if (answer) return answer
        }
        throw new Error(`the bay controller at ${options.path} does not answer`)
      }),
    async close() {
      await line?.close()
    },
  }
}
