import { schemaDepthMax, timestampMaxMs, timestampMinMs } from './limits.ts'

/** What a schema says at one place, as far as lengths go. All nodes have the same shape, so that walking them stays fast. */
interface WalkNode {
  readonly kind: number
  /** Bytes of a fixed-size type; number of symbols of an enum. */
  readonly size: number
  /** Fields of a record, branches of a union, the one item of an array or map. */
  readonly items: readonly WalkNode[]
}

const kinds = {
  fixed: 0,
  boolean: 1,
  int: 2,
  long: 3,
  timestamp: 4,
  bytes: 5,
  enum: 6,
  union: 7,
  record: 8,
  array: 9,
  map: 10,
} as const

/** Results of a walk that are not a position. */
const undecodable = -1
const outOfRange = -2

/** What a walk found. */
export type WalkResult = 'sound' | 'undecodable' | 'out of range'

/** Checks that bytes are exactly one value of a schema, reading lengths only. */
export interface AvroWalk {
  check(bytes: Buffer, start: number, end: number): WalkResult
}

/**
 * Compiles a schema (parsed JSON) to a walk. Throws when it is no Avro schema, or nests deeper than `schemaDepthMax`.
 *
 * The encoding, after the Avro 1.12 specification, "Binary Encoding":
 *
 *     null     –                          boolean  1 byte, 0 or 1
 *     int      zigzag varint, 1–5 bytes   long     zigzag varint, 1–10 bytes
 *     float    4 bytes                    double   8 bytes
 *     string   long length · bytes        bytes    long length · bytes
 *     fixed    its size                   enum     int index
 *     union    int branch · value         record   its fields, in order
 *     array    { long count (negative: −count · long bytes) · items }* · 0       map  the same, items are string · value
 */
export function compileWalk(schema: unknown): AvroWalk {
  const root = compile(schema, new Map(), 0)
  return {
    check(bytes, start, end) {
      const at = walk(root, bytes, start, end)
      if (at === outOfRange) return 'out of range'
      return at === end ? 'sound' : 'undecodable'
    },
  }
}

/** Where the last varint ended; a second result without an object. */
let varintEnd = 0

function walk(node: WalkNode, bytes: Buffer, at: number, end: number): number {
  switch (node.kind) {
    case kinds.fixed:
      return at + node.size <= end ? at + node.size : undecodable
    case kinds.bytes: {
      const length = readVarint(bytes, at, end)
      const next = varintEnd + length
      return varintEnd < 0 || length < 0 || next > end ? undecodable : next
    }
    case kinds.long:
      readVarint(bytes, at, end)
      return varintEnd
    case kinds.timestamp: {
      const ms = readVarint(bytes, at, end)
      if (varintEnd < 0) return undecodable
      return ms >= timestampMinMs && ms <= timestampMaxMs ? varintEnd : outOfRange
    }
    case kinds.int: {
      const value = readVarint(bytes, at, end)
      return value >= -0x8000_0000 && value <= 0x7fff_ffff ? varintEnd : undecodable
    }
    case kinds.enum: {
      const index = readVarint(bytes, at, end)
      return index >= 0 && index < node.size ? varintEnd : undecodable
    }
    case kinds.boolean:
      return at < end && (bytes[at] ?? 2) <= 1 ? at + 1 : undecodable
    case kinds.union: {
      const branch = readVarint(bytes, at, end)
      const item = varintEnd < 0 ? undefined : node.items[branch]
      return item === undefined ? undecodable : walk(item, bytes, varintEnd, end)
    }
    case kinds.record:
      return walkItems(node.items, bytes, at, end)
    default:
      return walkBlocks(node, bytes, at, end)
  }
}

function walkItems(items: readonly WalkNode[], bytes: Buffer, start: number, end: number): number {
  let at = start
  for (let index = 0; index < items.length; index++) {
    const item = items[index] as WalkNode
    // Most fields are texts of less than 64 bytes, whose length is one byte: without a call for each, a third of the walk is saved.
    const head = item.kind === kinds.bytes && at < end ? (bytes[at] as number) : 128
    if (head < 128 && (head & 1) === 0) {
      at += 1 + (head >>> 1)
      if (at > end) return undecodable
      continue
    }
    at = walk(item, bytes, at, end)
    if (at < 0) return at
  }
  return at
}

function walkBlocks(node: WalkNode, bytes: Buffer, start: number, end: number): number {
  let at = start
  for (;;) {
    let count = readVarint(bytes, at, end)
    if (varintEnd < 0) return undecodable
    if (count === 0) return varintEnd
    if (count < 0) {
      count = -count
      if (readVarint(bytes, varintEnd, end) < 0) return undecodable
    }
    at = varintEnd
    // Items without bytes would let five bytes claim a thousand million of them.
    if (at < 0 || count > end - at) return undecodable
    for (; count > 0; count--) {
      at = walkItems(node.items, bytes, at, end)
      if (at < 0) return at
    }
  }
}

/** A zigzag varint; its end goes to `varintEnd`, −1 when it is cut off or longer than ten bytes. Exact up to 2^53, which is all that lengths and times need. */
function readVarint(bytes: Buffer, start: number, end: number): number {
  let at = start
  let byte = at < end ? (bytes[at++] ?? 128) : 128
  if (byte < 128) {
    varintEnd = at
    return (byte >>> 1) ^ -(byte & 1)
  }
  let wide = byte & 127
  let factor = 128
  do {
    if (at >= end || at - start >= 10) {
      varintEnd = undecodable
      return Number.NaN
    }
    byte = bytes[at++] ?? 0
    wide += (byte & 127) * factor
    factor *= 128
  } while (byte > 127)
  varintEnd = at
  return wide % 2 === 1 ? -(wide + 1) / 2 : wide / 2
}

const primitives: ReadonlyMap<string, WalkNode> = new Map([
  ['null', nodeOf(kinds.fixed)],
  ['boolean', nodeOf(kinds.boolean)],
  ['int', nodeOf(kinds.int)],
  ['long', nodeOf(kinds.long)],
  ['float', nodeOf(kinds.fixed, 4)],
  ['double', nodeOf(kinds.fixed, 8)],
  ['string', nodeOf(kinds.bytes)],
  ['bytes', nodeOf(kinds.bytes)],
])

function nodeOf(kind: number, size = 0, items: readonly WalkNode[] = []): WalkNode {
  return { kind, size, items }
}

/** `named` holds the types that were defined before; a type inside itself is not taken: records would have no bound. */
function compile(schema: unknown, named: Map<string, WalkNode>, depth: number): WalkNode {
  if (depth > schemaDepthMax) throw new Error(`the schema nests deeper than ${schemaDepthMax}`)
  if (typeof schema === 'string') {
    const known = primitives.get(schema) ?? named.get(schema)
    if (known === undefined) throw new Error(`the schema has the unknown type "${schema}"`)
    return known
  }
  const inner = (part: unknown) => compile(part, named, depth + 1)
  if (Array.isArray(schema)) return nodeOf(kinds.union, 0, schema.map(inner))
  const { type, name, namespace, fields, symbols, size, items, values, logicalType } = partsOf(schema)
  const define = (node: WalkNode) => {
    if (typeof name !== 'string') return node
    named.set(name, node)
    if (typeof namespace === 'string') named.set(`${namespace}.${name}`, node)
    return node
  }
  if (type === 'record' && Array.isArray(fields)) {
    return define(
      nodeOf(
        kinds.record,
        0,
        fields.map((field) => inner(partsOf(field).type)),
      ),
    )
  }
  if (type === 'enum' && Array.isArray(symbols)) return define(nodeOf(kinds.enum, symbols.length))
  if (type === 'fixed' && typeof size === 'number') return define(nodeOf(kinds.fixed, size))
  if (type === 'array') return nodeOf(kinds.array, 0, [inner(items)])
  if (type === 'map') return nodeOf(kinds.map, 0, [nodeOf(kinds.bytes), inner(values)])
  if (type === 'long' && logicalType === 'timestamp-millis') return nodeOf(kinds.timestamp)
  return inner(type)
}

function partsOf(schema: unknown): Record<string, unknown> {
  if (typeof schema !== 'object' || schema === null) throw new Error('the schema has a part that is no type')
  return { ...schema }
}
