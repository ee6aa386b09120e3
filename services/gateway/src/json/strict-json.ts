import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../errors.ts'
import { JsonCursor, type JsonFault } from './json-cursor.ts'

const noBytes = Buffer.alloc(0)

/** A parsed body, and what of its content cannot be taken as it is. */
export interface StrictJson {
  readonly value: unknown
  readonly faults: readonly JsonFault[]
}

/**
 * Parses a JSON body without changing anything in silence. Throws `INVALID_JSON` when it is not UTF-8 or breaks the grammar; everything
 * that `JSON.parse` would bend is listed in `faults`, so that the caller can name it together with its own. Where bodies are many, hand over a `cursor` that is kept: making one takes
 * longer than reading a small body.
 */
export function readStrictJson(bytes: Buffer, cursor: JsonCursor = new JsonCursor()): StrictJson {
  requireUtf8(bytes)
  try {
    cursor.open(bytes, { start: 0, end: bytes.length })
    cursor.value()
    cursor.finish()
    const faults = cursor.takeFaults()
    // What is nested too deep is refused anyway, and nothing that walks values recursively must see it.
    const tooDeep = faults.some((fault) => fault.code === 'TOO_DEEP')
    return { value: tooDeep ? undefined : JSON.parse(bytes.toString('utf8')), faults }
  } finally {
    // Not to keep the body.
    cursor.open(noBytes, { start: 0, end: 0 })
  }
}

/** Throws `INVALID_JSON` unless `bytes` are UTF-8: decoding would put U+FFFD where the fault is. */
export function requireUtf8(bytes: Buffer): void {
  if (!isUtf8(bytes)) throw new GatewayError('INVALID_JSON', 'The body is not valid UTF-8.')
}
