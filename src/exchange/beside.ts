/** A relay that also offers and takes bytes of its own: its bench where that knows the object, else the spool. */
import type { Bench } from './bench.ts'
import type { Shelf } from './shelf.ts'

export function benchBeside(own: string, bench: Bench, spool: Shelf): Shelf {
  const shelfOf = ({ issuer, name }: { issuer: string; name: string }): Shelf =>
    issuer === own && bench.knows(name) ? bench : spool
  return {
    status: (key, role, signal) => shelfOf(key).status(key, role, signal),
    read: (key, ask, signal) => shelfOf(key).read(key, ask, signal),
    write: (key, put, signal) => shelfOf(key).write(key, put, signal),
    release: (key, by) => shelfOf(key).release(key, by),
  }
}
