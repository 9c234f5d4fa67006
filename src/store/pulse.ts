/**
 * Whether a volume answers: a disk that hangs must not make others wait. What is asked of it is counted; when something
 * waits and nothing was answered for a while, it is silent, until it answers again.
 */
import { lengthy } from '../index/index.ts'
import { limits } from '../limits.ts'
import type { Clock } from '../world/world.ts'

export interface Pulse {
  /** A port, all of whose functions are asynchronous, under this watch. */
  watch<Port extends object>(port: Port): Port
  isSilent(): boolean
  /** What the work comes to; undefined when the volume is silent, whatever becomes of the work. */
  orSilent<T>(work: Promise<T>): Promise<{ readonly value: T } | undefined>
  /** The volume is gone: nobody waits for it any more. */
  stop(): void
}

/** `changed` is told when the volume falls silent, and when it answers again; while it is excused it is not silent. */
export function pulse(
  clock: Clock,
  changed: (silent: boolean) => void,
  isExcused: () => boolean = () => false,
): Pulse {
  const stopping = new AbortController()
  const listeners = new Set<() => void>()
  let [waiting, last, silent, looking] = [0, 0, false, false]
  /** Of what is waited for, what may take long; all else waits behind it. */
  let long = 0

  async function look(): Promise<void> {
    looking = true
    while (waiting > 0 && !stopping.signal.aborted) {
      await clock.sleep(limits.pulseMs, stopping.signal)
      if (isExcused()) last = clock.monotonic()
      const still = waiting > 0 && long === 0 && clock.monotonic() - last >= limits.silentMs
      if (stopping.signal.aborted || silent || !still) continue
      silent = true
      for (const tell of [...listeners]) tell()
      changed(true)
    }
    looking = false
  }
  function begin(): void {
    if (waiting++ === 0) last = clock.monotonic()
    if (!looking) void look()
  }
  function end(): void {
    waiting--
    last = clock.monotonic()
    if (!silent || stopping.signal.aborted) return
    silent = false
    changed(false)
  }
  return {
    watch: (port) =>
      new Proxy(port, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name)
          if (typeof member !== 'function') return member
          return (...args: unknown[]) => {
            const isLong = lengthy.has(String(name))
            begin()
            if (isLong) long++
            return (Reflect.apply(member, target, args) as Promise<unknown>).finally(() => {
              if (isLong) long--
              end()
            })
          }
        },
      }),
    isSilent: () => silent,
    orSilent: (work) =>
      new Promise((resolve, reject) => {
        const giveUp = (): void => resolve(undefined)
        if (silent) giveUp()
        else listeners.add(giveUp)
        const over = (): boolean => listeners.delete(giveUp)
        work.then((value) => resolve({ value }), reject).finally(over)
      }),
    stop() {
      stopping.abort()
      silent = true
      for (const tell of [...listeners]) tell()
    },
  }
}
