/** Wakes whoever sleeps until the next thing is due: something may be due earlier than it was. */
export interface Bell {
  ring(): void
  /** Aborted by the first ring since it was asked for last. */
  next(): AbortSignal
}

export function newBell(): Bell {
  let rung = new AbortController()
  return {
    ring: () => rung.abort(),
    next() {
      if (rung.signal.aborted) rung = new AbortController()
      return rung.signal
    },
  }
}
