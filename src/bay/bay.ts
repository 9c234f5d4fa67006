/** PORT: the power of one disk and the file system on it. Whatever is not certain is said to be so, never guessed. */
export interface Bay {
  /** Resolves when the file system is there; rejects with a sentence when it is not in time. May be asked again. */
  up(): Promise<void>
  /**
   * Takes the file system away, then the power. Rejects with a sentence when the file system is still in use or nobody
   * confirms that the power is off: then the disk may be on, and nothing was cut.
   */
  down(): Promise<void>
  /** What `up` takes from now on, when it is asked for after so many others; milliseconds, as it is known. */
  upMs(before?: number): number
  /** Whether others wait for the current that this one takes. */
  isWanted(): boolean
  /** Tells when others begin to wait. */
  whenWanted(tell: () => void): void
}

/** A disk that sleeps. */
export interface Sleeper {
  /** Also while it is being woken. */
  asleep(): boolean
  /** Somebody waits for it to wake. */
  isAwaited(): boolean
  /** Until it could be read, when it is woken after so many others; milliseconds, 0 while it is awake. */
  msToWake(before?: number): number
  /** All the time that was spent in waking it, milliseconds. */
  msWaking(): number
  /** What nobody waits for is done together, once in so long, milliseconds. */
  readonly workEveryMs: number
  /** Why it did not come when it was asked for last; undefined when it did. */
  fault(): string | undefined
  /** Tells that it could not be woken, with the reason; once until it could be. */
  whenFailed(tell: (why: string) => void): void
}

/** Takes a file system away and tells whether it is there; neither looks at the disk itself. */
export interface Mount {
  /** Also while it is being taken away. */
  isThere(): boolean
  /** Asks for it to be taken away, and for the disk to stop; it is gone when `isThere` says so. */
  release(): Promise<void>
  /** It is to stay after all, if it is still there. */
  keep(): Promise<void>
}

/** A switch for the power of one disk. */
export interface Switch {
  /** Resolves when the controller says that it is on. */
  on(): Promise<void>
  /** Resolves when the controller says that it is off. */
  off(): Promise<void>
  /** How long `on` takes when it is asked for after so many more, milliseconds; as it is known. */
  onMs(before?: number): number
  /** Whether others wait for the current that this one takes. */
  isWanted(): boolean
  whenWanted(tell: () => void): void
}
