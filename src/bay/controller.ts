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

/** A disk that nothing is asked of gives up its current in about so long, when another waits for it. */
const yieldMs = 30_000
/** One whose turn it is has it for some minutes. */
const currentMs = 10 * 60_000

/** The controller said no for now: another disk starts, or there is no current left. */
class Refused extends Error {
  readonly code: string
  constructor(code: string) {
    super(`the controller says ${code}`)
    this.code = code
  }
}

export function controller(world: World, serial: Serial, options: ControllerOptions): Controller {
  const { clock } = world
  const link = linkTo(world, serial, options)
  const starting = lock()
  const current = currentOf(options.onMax)
  const until = ordering(clock, link, current)
  /** Bays that are to be switched on, and are not yet. */
  const coming = new Set<number>()
  /** No other disk starts before; and how long a start took. */
  let [startsAt, startMs] = [0, staggerMs / 4]

  async function on(slot: number): Promise<void> {
    await current.enter(slot)
    await starting(async () => {
      await clock.sleep(startsAt - clock.monotonic())
      const begun = clock.monotonic()
      await until(slot, 'on')
      startMs = clock.monotonic() - begun
      startsAt = clock.monotonic() + staggerMs
    })
  }
  return {
    bay: (slot) => ({
      async on() {
        coming.add(slot)
        await on(slot).finally(() => {
          coming.delete(slot)
          current.gaveUp(slot)
        })
      },
      async off() {
        await until(slot, 'off')
        current.leave(slot)
      },
      onMs(more = 0) {
        const before = [...coming].filter((one) => one !== slot).length + more
        const last = Math.max(0, startsAt - clock.monotonic())
        const given = current.isFull(slot, more) ? yieldMs : 0
        return last + before * (startMs + staggerMs) + given + startMs
      },
      isWanted: () => current.isWanted(slot),
      whenWanted: current.whenWanted,
    }),
    close: () => link.close(),
  }
}

/** Orders, then looks until it is so; the last look decides. */
function ordering(clock: World['clock'], link: Link, current: Current) {
  async function ask(slot: number, ...words: string[]): Promise<BayState> {
    const answer = await link.ask(words)
    const [code = '', text = ''] = answer
    if (code === 'BUSY' || code === 'POWER') throw new Refused(code)
    const state = code === 'OK' ? statesOf(text)?.[slot] : undefined
    if (state === undefined)
      throw new Error(`the controller has no bay ${slot}: ${answer.join(' ')}`)
    return state
  }
  return async (slot: number, wanted: 'on' | 'off'): Promise<void> => {
    const begun = clock.monotonic()
    let [why, order, patience] = ['', true, switchMs]
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
        if (error.code === 'POWER' && current.refused(slot)) patience = currentMs
      }
      if (clock.monotonic() >= begun + patience) throw new Error(why)
      await clock.sleep(pauseMs)
    }
  }
}

type Current = ReturnType<typeof currentOf>

/** Who of ours has current, and who waits for it. */
function currentOf(onMax = Number.POSITIVE_INFINITY) {
  const room = gate(onMax)
  const leave = new Map<number, () => void>()
  const waiting = new Set<number>()
  const listeners = new Set<() => void>()
  /** So many had power when there was none left. */
  let most = onMax
  const others = (slot: number): number => [...leave.keys()].filter((one) => one !== slot).length
  function waits(slot: number): void {
    if (waiting.has(slot)) return
    waiting.add(slot)
    for (const tell of listeners) tell()
  }
  return {
    async enter(slot: number): Promise<void> {
      if (leave.has(slot)) return
      if (leave.size >= onMax) waits(slot)
      leave.set(slot, await room.enter())
      waiting.delete(slot)
    },
    leave(slot: number): void {
      leave.get(slot)?.()
      leave.delete(slot)
    },
    /** The controller says that none is left. Whether one of ours could give way. */
    refused(slot: number): boolean {
      const count = others(slot)
      if (count === 0) return false
      most = Math.min(most, count)
      waits(slot)
      return true
    },
    gaveUp: (slot: number) => void waiting.delete(slot),
    isFull: (slot: number, more: number): boolean => others(slot) + more >= most,
    isWanted: (slot: number): boolean => [...waiting].some((one) => one !== slot),
    whenWanted: (tell: () => void) => void listeners.add(tell),
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
