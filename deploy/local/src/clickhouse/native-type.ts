/** How long the data of a column is in format `Native`, by its type. */
export type ColumnType =
  | { readonly kind: 'fixed'; readonly bytes: number }
  | { readonly kind: 'text' }
  | { readonly kind: 'nullable'; readonly of: ColumnType }
  | { readonly kind: 'array'; readonly of: ColumnType }
  | { readonly kind: 'tuple'; readonly of: readonly ColumnType[] }
  /** `LowCardinality`, by the type of its keys. */
  | { readonly kind: 'dictionary'; readonly of: ColumnType }
  | { readonly kind: 'unknown'; readonly name: string }

/** Reads a type as ClickHouse writes it, `Map(String, Nullable(DateTime64(3, 'UTC')))`. */
export function columnType(text: string): ColumnType {
  const open = text.indexOf('(')
  const name = open < 0 ? text : text.slice(0, open)
  const parts = open < 0 ? [] : partsOf(text.slice(open + 1, -1))
  const of = (part: number) => columnType(parts[part] ?? '')
  const bytes = fixedBytes[name]
  if (bytes !== undefined) return { kind: 'fixed', bytes }
  switch (name) {
    case 'String':
      return { kind: 'text' }
    case 'FixedString':
      return { kind: 'fixed', bytes: Number(parts[0]) }
    case 'Decimal':
      return { kind: 'fixed', bytes: decimalBytes(Number(parts[0])) }
    case 'Nullable':
      return { kind: 'nullable', of: of(0) }
    case 'Array':
      return { kind: 'array', of: of(0) }
    case 'Map':
      return { kind: 'array', of: { kind: 'tuple', of: [of(0), of(1)] } }
    case 'Nested':
      return { kind: 'array', of: { kind: 'tuple', of: parts.map(elementOf) } }
    case 'Tuple':
      // Without elements, a row is one byte.
      return parts.length === 0 ? { kind: 'fixed', bytes: 1 } : { kind: 'tuple', of: parts.map(elementOf) }
    case 'LowCardinality': {
      const keys = of(0)
      // The null is one of the keys.
      return { kind: 'dictionary', of: keys.kind === 'nullable' ? keys.of : keys }
    }
    case 'SimpleAggregateFunction':
      return of(parts.length - 1)
    case 'Point':
      return point
    case 'Ring':
    case 'LineString':
      return arrayOf(point)
    case 'Polygon':
    case 'MultiLineString':
      return arrayOf(arrayOf(point))
    case 'MultiPolygon':
      return arrayOf(arrayOf(arrayOf(point)))
    default:
      return name.startsWith('Interval') ? { kind: 'fixed', bytes: 8 } : { kind: 'unknown', name: text }
  }
}

const fixedBytes: Readonly<Record<string, number>> = {
  Bool: 1,
  Nothing: 1,
  UInt8: 1,
  UInt16: 2,
  UInt32: 4,
  UInt64: 8,
  UInt128: 16,
  UInt256: 32,
  Int8: 1,
  Int16: 2,
  Int32: 4,
  Int64: 8,
  Int128: 16,
  Int256: 32,
  BFloat16: 2,
  Float32: 4,
  Float64: 8,
  Date: 2,
  Date32: 4,
  DateTime: 4,
  DateTime64: 8,
  Time: 4,
  Time64: 8,
  Enum8: 1,
  Enum16: 2,
  UUID: 16,
  IPv4: 4,
  IPv6: 16,
}

const point: ColumnType = {
  kind: 'tuple',
  of: [
    { kind: 'fixed', bytes: 8 },
    { kind: 'fixed', bytes: 8 },
  ],
}

function arrayOf(of: ColumnType): ColumnType {
  return { kind: 'array', of }
}

/** By the number of digits. */
function decimalBytes(digits: number): number {
  if (digits <= 9) return 4
  if (digits <= 18) return 8
  return digits <= 38 ? 16 : 32
}

/** An element of a tuple may have a name in front of its type. */
function elementOf(part: string): ColumnType {
  const named = /^(?:`(?:[^`\\]|\\.)*`|[A-Za-z_][A-Za-z0-9_]*) (.*)$/s.exec(part)
  return columnType(named?.[1] ?? part)
}

/** Cuts at the commas that are in no parentheses and in no quotes. */
function partsOf(text: string): readonly string[] {
  const parts: string[] = []
  let depth = 0
  let quote = ''
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (quote !== '') {
      if (character === '\\') at++
      else if (character === quote) quote = ''
    } else if (character === "'" || character === '`') quote = character
    else if (character === '(') depth++
    else if (character === ')') depth--
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(from, at).trim())
      from = at + 1
    }
  }
  const last = text.slice(from).trim()
  return last === '' ? parts : [...parts, last]
}
