/** Runs one task at a time, in the order they were asked for. */
export function lock(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (task) => {
    const mine = last.then(task, task)
    last = mine.catch(() => undefined)
    return mine
  }
}

/** At most `count` holders at a time; `enter` resolves with the way out. */
export function gate(count: number): { enter(): Promise<() => void> } {
  let free = count
  const waiting: (() => void)[] = []
  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
  const once = (): (() => void) => {
    let out = false
    return () => {
      if (!out) leave()
      out = true
    }
  }
  return {
    async enter() {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
      return once()
    },
  }
}
