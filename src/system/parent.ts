/** Ends with whoever started us, even when that one was killed: its end of our standard input closes then. */
export function whenParentEnds(then: () => void): void {
  process.stdin.on('end', then)
  process.stdin.on('close', then)
  process.stdin.on('error', then)
  process.stdin.resume()
}

/** Calls `stop` once, at the first signal; a second signal ends the process at once. */
export function whenTold(stop: (signal: string) => void): void {
  let told = false
  const hear = (signal: NodeJS.Signals): void => {
    if (told) process.exit(130)
    told = true
    stop(signal)
  }
  process.on('SIGINT', hear)
  process.on('SIGTERM', hear)
  process.on('SIGHUP', hear)
}
