/**
 * Names on disk. A stored file stands under its own name; only what some file system, BagIt or `sha256sum -c` could
 * not carry is written differently, by one reversible escape: `=` and two hexadecimal digits for one character.
 *
 * Escaped: `=` itself; `%`, CR and LF (RFC 8493 §2.1.3 wants `%` as `%25` in a manifest, and then coreutils do not
 * find the file); what exFAT refuses: control characters and `" * : < > ? \ |`, and a dot or space at the end of a
 * component. A component that would be longer than 255 bytes so, or whose place is taken by a name that the file
 * system takes for the same, stands under a digest; its true id is in the tag file `names.txt`.
 */
import { limits } from '../limits.ts'
import { bytesOf } from '../protocol/scalars.ts'
import { digestOf, type World } from '../world/world.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: exFAT refuses control characters, so they are what is looked for
const unsafe = /[\u0000-\u001f\u007f"%*:<=>?\\|]/g
const hex = (character: string): string =>
  `=${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`

/** The escape of one component; always reversible by `unescapeName`. */
export const escapeName = (component: string): string =>
  component.replace(unsafe, hex).replace(/[. ]$/, hex)

export const unescapeName = (name: string): string =>
  name.replace(/=([0-9A-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )

/** `=long-` can not be an escape: `lo` are no hexadecimal digits. */
const underDigest = (world: Pick<World, 'hashing'>, component: string): string =>
  `=long-${digestOf(world, component).slice(0, 40)}`

/** Where a file id stands below `data/`. */
export const pathOf = (world: Pick<World, 'hashing'>, id: string): string =>
  id
    .split('/')
    .map((component) => {
      const name = escapeName(component)
      return bytesOf(name) > limits.componentBytesMax ? underDigest(world, component) : name
    })
    .join('/')

/**
 * Where it stands when its own place is taken by a name that this file system does not tell from it, or by something
 * that somebody else put there. One place is as good as another: `turn` tells them apart.
 */
export const pathAside = (world: Pick<World, 'hashing'>, id: string, turn = 0): string =>
  `=aside/${digestOf(world, turn === 0 ? id : `${id}\0${turn}`).slice(0, 40)}`

/** Whether the id can be read from the path, or needs its line in `names.txt`. */
export const isPlain = (path: string, id: string): boolean =>
  path.split('/').map(unescapeName).join('/') === id

/** Partials are keyed by what they will be, so that any later request for the same bytes goes on with them. */
export const partialOf = (
  world: Pick<World, 'hashing'>,
  file: { collection: string; id: string; size: number; checksum: string },
): string =>
  `.incoming/${digestOf(world, `${file.collection}\0${file.id}\0${file.size}\0${file.checksum}`).slice(0, 32)}`
