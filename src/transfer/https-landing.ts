/**
 * Where the bytes of one connection land: TLS decrypts into one small buffer again and again, and from there they are
 * gathered in two large ones, of which the reader has the one while the other fills. Nothing is made for each record and
 * collected again.
 */

/** Both together are what a connection takes; so much is read ahead of the reader. */
const gatheredMax = 128 * 1024
/** So much is worth waking the reader for at once; less waits for the rest of what is there now. */
const worthwhile = 64 * 1024
/** The most that comes at once. */
const recordBytes = 64 * 1024

export interface Landing {
  /** Where the socket puts what comes, each time from its beginning. */
  readonly room: Uint8Array
  /** So many bytes have come. False when the network should wait until some are taken. */
  came(count: number): boolean
  /** What has come and was not taken yet, for looking at. */
  peek(): Uint8Array
  /** All that has come, valid until the next call; an empty one when there is none. */
  take(): Uint8Array
  /** Leaves out so many bytes of what has come, from its beginning. */
  skip(count: number): void
  /** Resolves once there is more than so many bytes to take, or `over` was called. */
  more(than: number): Promise<void>
  over(): void
}

export function landing(): Landing {
  const room = Buffer.allocUnsafeSlow(recordBytes)
  // What is decrypted already is delivered, whoever wants to wait: that much more has place.
  const halves = [0, 1].map(() => Buffer.allocUnsafeSlow(gatheredMax + 2 * recordBytes))
  let turn = 0
  let filled = 0
  let isOver = false
  let wake = (): void => undefined
  const half = (): Buffer => halves[turn] as Buffer

  return {
    room,
    came(count) {
      if (filled + count > half().length) {
        const larger = Buffer.allocUnsafeSlow(2 * half().length)
        larger.set(half().subarray(0, filled))
        halves[turn] = larger
      }
      half().set(room.subarray(0, count), filled)
      filled += count
      if (filled >= worthwhile) wake()
      else setImmediate(() => wake())
      return filled < gatheredMax
    },
    peek: () => half().subarray(0, filled),
    take() {
      const taken = half().subarray(0, filled)
      turn = 1 - turn
      filled = 0
      return taken
    },
    skip(count) {
      half().copyWithin(0, count, filled)
      filled -= count
    },
    async more(than) {
      while (filled <= than && !isOver)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    },
    over() {
      isOver = true
      wake()
    },
  }
}
