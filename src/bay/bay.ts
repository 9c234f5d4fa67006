/** PORT: the power of one disk and the file system on it. Whatever is not certain is said to be so, never guessed. */
export interface Bay {
  /** Resolves when the file system is there; rejects with a sentence when it is not in time. May be asked again. */
  up(): Promise<void>
  /**
   * Takes the file system away, then the power. Rejects with a sentence when the file system is still in use or nobody
   * confirms that the power is off: then the disk may be on, and nothing was cut.
   */
  down(): Promise<void>
  /** What `up` takes, milliseconds; as it is known. */
  readonly upMs: number
}

/** What a pillar needs to know of a disk that sleeps. */
export interface Sleeper {
  asleep(): boolean
  /** Until it could be read, milliseconds: 0 while it is awake. */
  msToWake(): number
  /** All the time that was spent in waking it, milliseconds. */
  msWaking(): number
  /** What nobody waits for is done together, once in so long, milliseconds. */
  readonly workEveryMs: number
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
}
