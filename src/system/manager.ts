/**
 * Tells systemd how we are (sd_notify(3)). Node.js has no datagram sockets of Unix, so `systemd-notify` says it for us: one
 * short process a minute or less.
 */
import { spawn } from 'node:child_process'

export interface Manager {
  /** Everything is open. From now on we say at least twice in the watchdog's time that we are alive. */
  ready(): void
  /** The end has begun, and may take a while. */
  stopping(): void
}

type Environment = Readonly<Record<string, string | undefined>>

/** Does nothing where systemd has not started us, or does not want to hear. */
export function serviceManager(environment: Environment = process.env): Manager {
  if (environment.NOTIFY_SOCKET === undefined) return { ready() {}, stopping() {} }
  let watch: NodeJS.Timeout | undefined
  return {
    ready() {
      say('READY=1', environment)
      const everyMs = watchdogMs(environment) / 3
      // Said by the event loop: one that stands still says nothing, and is ended.
      if (everyMs > 0) watch = setInterval(() => say('WATCHDOG=1', environment), everyMs).unref()
    },
    stopping() {
      clearInterval(watch)
      say('STOPPING=1', environment)
    },
  }
}

function watchdogMs({ WATCHDOG_USEC: time, WATCHDOG_PID: pid }: Environment): number {
  const ours = pid === undefined || pid === `${process.pid}`
  return ours ? Number(time ?? 0) / 1000 : 0
}

function say(what: string, environment: Environment): void {
  const child = spawn('systemd-notify', [what], { stdio: 'ignore', env: { ...environment } })
  child.on('error', () => undefined)
  child.unref()
}
