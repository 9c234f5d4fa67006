/**
 * JSON Schema (draft 07) of the schemas of `src/protocol`. Knows exactly the constructs that messages are made of, and
 * throws at any other: what it does not know it must not pass over in silence.
 */

/** A schema or an action, as far as it is looked at here: valibot itself belongs to `src/protocol`. */
export interface Construct {
  readonly kind: string
  readonly type: string
  readonly async?: boolean
  readonly pipe?: readonly Construct[]
  readonly entries?: Readonly<Record<string, Construct>>
  readonly item?: Construct
  readonly wrapped?: Construct
  readonly options?: readonly unknown[]
  readonly literal?: unknown
  readonly requirement?: unknown
  readonly default?: unknown
  readonly fallback?: unknown
}

export type JsonSchema = Readonly<Record<string, unknown>>

/** A schema that is written down once and referred to by its name. */
export interface Term {
  readonly name: string
  readonly description: string
  /** What its check demands beyond what JSON Schema can say. */
  readonly checked?: string
}
export type Terms = ReadonlyMap<Construct, Term>

/** A reference when the schema has a name, else all of it. */
export function jsonSchema(node: Construct, terms: Terms): JsonSchema {
  const term = terms.get(node)
  return term === undefined
    ? inFull(node, terms, false)
    : { $ref: `#/components/schemas/${term.name}` }
}

/** What the references lead to. */
export function definitions(terms: Terms): Record<string, JsonSchema> {
  const all: Record<string, JsonSchema> = {}
  for (const [node, { name, description, checked }] of terms) {
    if (name in all) throw new Error(`two schemas are named ${name}`)
    if (checked !== undefined && !node.pipe?.some(({ type }) => type === 'check'))
      throw new Error(`${name} checks nothing`)
    const words = checked === undefined ? description : `${description} ${checked}`
    all[name] = { description: words, ...inFull(node, terms, checked !== undefined) }
  }
  return all
}

function inFull(node: Construct, terms: Terms, checksAreTold: boolean): JsonSchema {
  if (node.async || node.fallback !== undefined) throw unknown(node)
  const [base, ...actions] = node.pipe ?? [node]
  if (base === undefined || (node.pipe !== undefined && base.pipe !== undefined))
    throw new Error('a pipe must begin with a plain schema')
  let schema = plain(base, terms)
  for (const action of actions) {
    if (action.type === 'check' && action.kind === 'validation' && checksAreTold) continue
    schema = narrowed(schema, action)
  }
  return schema
}

function plain(node: Construct, terms: Terms): JsonSchema {
  if (node.kind !== 'schema') throw unknown(node)
  switch (node.type) {
    case 'string':
    case 'number':
    case 'boolean':
      return { type: node.type }
    case 'literal':
      return { const: text(node.literal) }
    case 'picklist':
      return { type: 'string', enum: (node.options ?? []).map(text) }
    case 'array':
      if (node.item === undefined) throw unknown(node)
      return { type: 'array', items: jsonSchema(node.item, terms) }
    case 'object':
      return record(node.entries ?? {}, terms)
    default:
      throw unknown(node)
  }
}

/** Further properties are allowed: a reader drops what it does not know. */
function record(entries: Readonly<Record<string, Construct>>, terms: Terms): JsonSchema {
  const properties: Record<string, JsonSchema> = {}
  const required: string[] = []
  for (const [key, entry] of Object.entries(entries)) {
    if (entry.type !== 'optional') required.push(key)
    properties[key] = entry.type === 'optional' ? optional(entry, terms) : jsonSchema(entry, terms)
  }
  return { type: 'object', properties, ...(required.length > 0 && { required }) }
}

function optional(node: Construct, terms: Terms): JsonSchema {
  if (node.wrapped === undefined || node.pipe || node.async || terms.has(node)) throw unknown(node)
  const schema = jsonSchema(node.wrapped, terms)
  if (node.default === undefined) return schema
  if (!['string', 'number', 'boolean'].includes(typeof node.default)) throw unknown(node)
  // Beside a $ref nothing is looked at.
  return { ...('$ref' in schema ? { allOf: [schema] } : schema), default: node.default }
}

function narrowed(schema: JsonSchema, action: Construct): JsonSchema {
  const { type, requirement } = action
  if (action.kind !== 'validation') throw unknown(action)
  const length = schema.type === 'array' ? 'Items' : 'Length'
  switch (type) {
    case 'regex':
      if (!(requirement instanceof RegExp) || requirement.flags !== '' || 'pattern' in schema)
        throw unknown(action)
      return { ...schema, pattern: requirement.source }
    case 'min_length':
      return within(schema, `min${length}`, Math.max, number(action))
    case 'max_length':
      return within(schema, `max${length}`, Math.min, number(action))
    case 'min_value':
      return within(schema, 'minimum', Math.max, number(action))
    case 'safe_integer': {
      const whole = { ...schema, type: 'integer' }
      const above = within(whole, 'minimum', Math.max, Number.MIN_SAFE_INTEGER)
      return within(above, 'maximum', Math.min, Number.MAX_SAFE_INTEGER)
    }
    default:
      throw unknown(action)
  }
}

/** Of two bounds the stricter one holds. */
function within(
  schema: JsonSchema,
  bound: string,
  stricter: (a: number, b: number) => number,
  value: number,
): JsonSchema {
  const before = schema[bound]
  return { ...schema, [bound]: typeof before === 'number' ? stricter(before, value) : value }
}

function number({ type, requirement }: Construct): number {
  if (typeof requirement === 'number') return requirement
  throw new Error(`${type} by something that is no number`)
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new Error(`${String(value)} is no text`)
}

const unknown = ({ kind, type }: Construct): Error =>
  new Error(`the ${kind} ${type} can not be told in JSON Schema here`)
