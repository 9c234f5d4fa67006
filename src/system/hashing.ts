import { hashingInThread } from '../world/hashing.ts'
import type { Hashing } from '../world/world.ts'

/** Digests by OpenSSL in the calling thread: another thread costs more than it saves where SHA instructions exist. */
export const systemHashing = (): Hashing => hashingInThread()
