/** A port as the thread that owns the thing behind it sees it: the same methods, done when they return. */
export type Synchronous<Port> = {
  readonly [Method in keyof Port]: Port[Method] extends (
    ...args: infer Args
  ) => Promise<infer Result>
    ? (...args: Args) => Result
    : never
}
