/**
 * PORT: a serial line, bytes in and bytes out, as UPSes and disk bays speak over it. It may lose, repeat and mangle bytes,
 * and end at any moment: what comes over it is believed only by frames that its user checks.
 */
export interface Serial {
  /** Resolves with the open line; rejects when it is not there, is held by another program, or is no serial line. */
  open(options: SerialOptions): Promise<Line>
}

export interface SerialOptions {
  /** A name that stays the same when the plug is pulled and put in again: `/dev/serial/by-id/...`. */
  readonly path: string
  /** Bits per second; 8 data bits, no parity, 1 stop bit, no flow control. */
  readonly baud: number
}

export interface Line {
  /** Resolves when the bytes are on their way; rejects when the line has ended. Nobody says that they arrive. */
  write(bytes: Uint8Array): Promise<void>
  /** What comes in, in any pieces; one listener, a later one takes the place. What came before it was set is lost. */
  onBytes(listener: (bytes: Uint8Array) => void): void
  /** Resolves with the reason once the line has ended: the plug was pulled, an error, or `close`. Never rejects. */
  readonly closed: Promise<string>
  /** Ends it, and resolves when it may be opened again. */
  close(): Promise<void>
}
