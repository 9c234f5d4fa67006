/**
 * What dies with its board. After `die` nothing of it ever settles again: a program that lost its power does not see
 * errors, it just does not go on.
 */
export interface Life {
  readonly dead: () => boolean
  die(): void
  /** The same promise while alive; one that never settles after the end. */
  own<T>(work: Promise<T>): Promise<T>
}

const never = <T>(): Promise<T> => new Promise(() => undefined)

export function life(): Life {
  let over = false
  return {
    dead: () => over,
    die() {
      over = true
    },
    // Also what fails after the end is heard, by nobody: an unhandled rejection would end the whole simulation.
    own: (work) =>
      new Promise((resolve, reject) => {
        work.then(
          (value) => over || resolve(value),
          (error) => over || reject(error),
        )
      }),
  }
}

/** A port, all of whose functions are asynchronous, and end with that life. */
export function mortal<T extends object>({ own, dead }: Life, inner: T): T {
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) =>
        dead() ? never() : own(Reflect.apply(member, target, args) as Promise<unknown>)
    },
  })
}
