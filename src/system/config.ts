import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse, stringify, TomlError } from 'smol-toml'
import { parseBytes, parseDuration, parseRate, parseSpan, type Span } from '../world/units.ts'

/** Version of configuration files that this program writes and fully understands. */
const ourVersion = 1

/** A path is read relative to the folder of its file and becomes absolute; sizes are in bytes, durations in ms, rates in bytes per second. */
export type Kind =
  | 'text'
  | 'path'
  | 'paths'
  | 'number'
  | 'size'
  | 'duration'
  | 'rate'
  | 'flag'
  | 'list'
  | 'hours'

type Written = string | number | boolean | readonly string[]

/** One key. Without a default it must be there, unless it is optional. */
export interface Key {
  readonly type: Kind
  /** As it would stand in the file. */
  readonly default?: Written
  readonly optional?: true
  /** The only texts that it may be. */
  readonly oneOf?: readonly string[]
  /** For the file's comments and the README's table. */
  readonly doc: string
}

/** Keys by dotted name: `broker.url` is `url` in the table `[broker]`. */
export type Shape = Readonly<Record<string, Key>>

type Read<K extends Key> = K extends { readonly oneOf: readonly (infer Word)[] }
  ? Word
  : K['type'] extends 'text' | 'path'
    ? string
    : K['type'] extends 'flag'
      ? boolean
      : K['type'] extends 'list' | 'paths'
        ? readonly string[]
        : K['type'] extends 'hours'
          ? readonly Span[]
          : number

/** What a file says, by the same names. */
export type Values<S extends Shape> = {
  readonly [Name in keyof S]: S[Name]['optional'] extends true
    ? Read<S[Name]> | undefined
    : Read<S[Name]>
}

export interface Config<S extends Shape> {
  readonly values: Values<S>
  /** Sentences about what a newer program wrote and this one passes over. */
  readonly warnings: readonly string[]
}

/** One sentence that names file and key; the hint says what to do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly hint: string
  constructor(sentence: string, hint: string) {
    super(sentence)
    this.hint = hint
  }
}

/**
 * Reads a configuration file; throws `ConfigError`. A file by a newer program may say what we do not know, since going
 * back to the version before must always start: that is a warning then.
 */
export function readConfig<S extends Shape>(path: string, shape: S): Config<S> {
  const found = flattened(parsedFile(path))
  const newer = versionIn(path, found.get('config')) > ourVersion
  found.delete('config')
  const warnings: string[] = []
  const complain = (sentence: string, hint: string, forgivable: boolean) => {
    if (!newer || !forgivable) throw new ConfigError(`${path}: ${sentence}`, hint)
    warnings.push(`${path}: ${sentence}, and was passed over`)
  }

  for (const name of found.keys()) {
    if (Object.hasOwn(shape, name)) continue
    complain(`the key "${name}" is unknown`, `did you mean "${nearest(name, shape)}"?`, true)
  }
  const values: [string, unknown][] = Object.entries(shape).map(([name, key]) => {
    const written = found.get(name)
    const value = written === undefined ? undefined : meaning(written, key, path)
    const fallback = key.default === undefined ? undefined : meaning(key.default, key, path)
    if (written !== undefined && value === undefined) {
      complain(`the key "${name}" is not ${wanted(key)}`, `${name}: ${key.doc}`, !isRequired(key))
    } else if (value === undefined && isRequired(key)) {
      complain(`the key "${name}" is missing`, `${name}: ${key.doc}`, false)
    }
    return [name, value ?? fallback]
  })
  return { values: Object.fromEntries(values) as Values<S>, warnings }
}

/**
 * Writes a configuration file that only its owner may read, with a comment for each key and the keys not given
 * commented out; an older file is replaced at once or not at all. Throws `ConfigError` for what could not be read back.
 */
export function writeConfig<S extends Shape>(
  path: string,
  shape: S,
  given: { readonly [K in keyof S]?: Written | undefined },
): void {
  for (const [name, value] of Object.entries<Written | undefined>(given)) {
    const key = shape[name]
    if (value === undefined || (key !== undefined && meaning(value, key, path) !== undefined)) {
      continue
    }
    const sentence = key ? `"${name}" is not ${wanted(key)}` : `the key "${name}" is unknown`
    throw new ConfigError(`${path}: ${sentence}`, `nearest known key: ${nearest(name, shape)}`)
  }
  const missing = Object.keys(shape).find(
    (name) => given[name] === undefined && isRequired(shape[name]),
  )
  if (missing !== undefined) {
    throw new ConfigError(`${path}: the key "${missing}" is missing`, `${shape[missing]?.doc}`)
  }
  const draft = `${path}.new`
  const file = openSync(draft, 'w', 0o600)
  try {
    writeFileSync(file, fileText(shape, new Map(Object.entries<Written | undefined>(given))))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
}

/** Writes it again with other values for some keys; what else it says stays, but for the comments of its owner. */
export function rewriteConfig<S extends Shape>(
  path: string,
  shape: S,
  changes: { readonly [K in keyof S]?: Written },
): void {
  const found = flattened(parsedFile(path))
  found.delete('config')
  const before = Object.fromEntries(found) as { readonly [K in keyof S]?: Written }
  writeConfig(path, shape, { ...before, ...changes })
}

/** The keys as a table in Markdown, for the README. */
export function configTable(shape: Shape): string {
  const rows = Object.entries(shape).map(([name, { type, default: value, optional, doc }]) => {
    const fallback = value === undefined ? (optional ? '' : 'required') : `\`${literal(value)}\``
    return `| \`${name}\` | ${type} | ${fallback} | ${doc.replaceAll('|', '\\|')} |`
  })
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows, ''].join('\n')
}

const wanted = ({ type, oneOf }: Key): string =>
  oneOf === undefined ? wantedKinds[type] : `one of ${oneOf.map((one) => `"${one}"`).join(', ')}`

const wantedKinds: Record<Kind, string> = {
  text: 'a text in quotes',
  path: 'a path in quotes',
  number: 'a number of 0 or more',
  size: 'a size like "16MiB"',
  duration: 'a duration like "90s" or "30d"',
  rate: 'a rate like "6Mbit/s" or "2MiB/s"',
  hours: 'hours like "22:00-06:00", a list of them in square brackets',
  flag: 'true or false',
  list: 'a list of texts in square brackets',
  paths: 'a list of paths in square brackets',
}

function parsedFile(path: string): object {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') {
      throw new ConfigError(`${path}: there is no such file`, 'make it with init, or name another')
    }
    throw new ConfigError(`${path}: it cannot be read (${code})`, 'whose is it, and its folder?')
  }
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [first = ''] = error.message.split('\n')
    const what = first.replace(/^Invalid TOML document: /, '')
    const line = text.split('\n')[error.line - 1]?.trim()
    throw new ConfigError(`${path}: line ${error.line} is no TOML: ${what}`, `it says: ${line}`)
  }
}

function flattened(table: object, prefix = ''): Map<string, unknown> {
  const found = new Map<string, unknown>()
  for (const [name, value] of Object.entries(table)) {
    const isTable = typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date)
    if (!isTable) found.set(prefix + name, value)
    else for (const [inner, one] of flattened(value, `${prefix}${name}.`)) found.set(inner, one)
  }
  return found
}

function versionIn(path: string, version: unknown): number {
  if (typeof version === 'number' && Number.isInteger(version) && version >= 1) return version
  const sentence =
    version === undefined ? 'the key "config" is missing' : 'the key "config" is no version'
  throw new ConfigError(`${path}: ${sentence}`, `begin the file with: config = ${ourVersion}`)
}

/** What a value in the file means; undefined when it is of another kind. */
function meaning(written: unknown, { type, oneOf }: Key, path: string): unknown {
  const text = typeof written === 'string' ? written : undefined
  const count = typeof written === 'number' && written >= 0 ? written : undefined
  switch (type) {
    case 'text':
      return text !== undefined && oneOf?.includes(text) === false ? undefined : text
    case 'path':
      return text === undefined || text === '' ? undefined : resolve(dirname(path), text)
    case 'number':
      return count
    case 'size':
      return text === undefined ? count : parseBytes(text)
    case 'duration':
      return text === undefined ? undefined : parseDuration(text)
    case 'rate':
      return text === undefined ? undefined : parseRate(text)
    case 'flag':
      return typeof written === 'boolean' ? written : undefined
    case 'paths':
      return Array.isArray(written) && written.every((one) => typeof one === 'string' && one !== '')
        ? written.map((one: string) => resolve(dirname(path), one))
        : undefined
    case 'hours': {
      const spans = Array.isArray(written)
        ? written.map((one) => parseSpan(String(one)))
        : [undefined]
      return spans.every((one) => one !== undefined) ? spans : undefined
    }
    case 'list':
      return Array.isArray(written) && written.every((one) => typeof one === 'string')
        ? written
        : undefined
  }
}

const isRequired = (key: Key | undefined): boolean =>
  key !== undefined && key.default === undefined && key.optional !== true

const literal = (value: Written): string => stringify({ x: value }).replace(/^x = |\n$/g, '')

function fileText(shape: Shape, given: ReadonlyMap<string, Written | undefined>): string {
  const tables = new Map<string, string[]>([['', [`config = ${ourVersion}`, '']]])
  for (const [name, key] of Object.entries(shape)) {
    const dot = name.lastIndexOf('.')
    const table = name.slice(0, Math.max(0, dot))
    const value = given.get(name)
    const shown = `${name.slice(dot + 1)} = ${literal(value ?? key.default ?? '')}`
    const lines = tables.get(table) ?? [`[${table}]`]
    lines.push(`# ${key.doc}`, value === undefined ? `# ${shown}` : shown, '')
    tables.set(table, lines)
  }
  return [...tables.values()].flat().join('\n')
}

/** The known key that takes the fewest changed letters to write instead; its last word alone counts, too. */
function nearest(name: string, shape: Shape): string {
  const lastWord = (dotted: string) => dotted.slice(dotted.lastIndexOf('.') + 1)
  const distance = (known: string) =>
    Math.min(changes(name, known), changes(lastWord(name), lastWord(known)) + 1)
  return Object.keys(shape).reduce((best, known) =>
    distance(known) < distance(best) ? known : best,
  )
}

/** Levenshtein's distance. */
function changes(one: string, two: string): number {
  let row = Array.from({ length: two.length + 1 }, (_, at) => at)
  for (const [at, letter] of [...one].entries()) {
    const next = [at + 1]
    for (let to = 0; to < two.length; to++) {
      const same = (row[to] ?? 0) + (letter === two[to] ? 0 : 1)
      next.push(Math.min(same, (row[to + 1] ?? 0) + 1, (next[to] ?? 0) + 1))
    }
    row = next
  }
  return row[two.length] ?? 0
}
