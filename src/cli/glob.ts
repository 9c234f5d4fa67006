/** Patterns for `--exclude`, as people know them from shells and from .gitignore. */

/** `local` is relative to the folder that was named, with `/`. */
export type Excluded = (local: string, isFolder: boolean) => boolean

/**
 * A pattern with a slash in it is about the path from the folder that was named, one without about any name; one that
 * ends in a slash is about folders only.
 */
export function excluding(globs: readonly string[]): Excluded {
  const rules = globs.map((glob) => {
    const bare = glob.replace(/^(\.?\/)+/, '').replace(/\/+$/, '')
    const anchored = bare.includes('/') || /^\.?\//.test(glob)
    return { pattern: globPattern(bare), anchored, folders: glob.endsWith('/') }
  })
  return (local, isFolder) =>
    rules.some(
      ({ pattern, anchored, folders }) =>
        (isFolder || !folders) &&
        (pattern.test(local) ||
          (!anchored && pattern.test(local.slice(local.lastIndexOf('/') + 1)))),
    )
}

/**
 * `*` and `?` stay within a component, `**` does not, `[a-z]` and `[!a-z]` are one character; a backslash takes the
 * next character as it is.
 */
export function globPattern(glob: string): RegExp {
  let body = ''
  for (let at = 0; at < glob.length; ) {
    const part = partAt(glob, at)
    body += part.source
    at += part.length
  }
  return new RegExp(`^${body}$`, 'su')
}

interface Part {
  readonly source: string
  readonly length: number
}

function partAt(glob: string, at: number): Part {
  const rest = glob.slice(at)
  const startsComponent = at === 0 || glob[at - 1] === '/'
  // No folder between is a case of any number of folders between.
  if (startsComponent && rest.startsWith('**/')) return { source: '(?:.*/)?', length: 3 }
  if (rest.startsWith('**')) return { source: '.*', length: 2 }
  if (rest.startsWith('*')) return { source: '[^/]*', length: 1 }
  if (rest.startsWith('?')) return { source: '[^/]', length: 1 }
  const set = /^\[(!?)(\]?[^\]/]*)\]/su.exec(rest)
  if (set?.[2]) {
    const inside = set[2].replace(/[\\\]^[]/g, '\\$&').replace(/^-|-$/g, '\\-')
    const source = `(?!/)[${set[1] === '!' ? '^' : ''}${inside}]`
    if (isPattern(source)) return { source, length: set[0].length }
  }
  const taken = rest.startsWith('\\') && rest.length > 1 ? 1 : 0
  const character = String.fromCodePoint(rest.codePointAt(taken) ?? 0)
  return { source: literal(character), length: taken + character.length }
}

const literal = (character: string): string =>
  /^[$()*+./?[\\\]^{|}]$/.test(character) ? `\\${character}` : character

/** `[z-a]` is none; it is taken as it stands. */
function isPattern(source: string): boolean {
  try {
    return new RegExp(source, 'u') instanceof RegExp
  } catch {
    return false
  }
}
