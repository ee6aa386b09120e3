import { isUtf8 } from 'node:buffer'
import { GatewayError } from '../errors.ts'
import { JsonCursor, type JsonFault } from './json-cursor.ts'

const noBytes = Buffer.alloc(0)

/** A parsed body, and what of its content cannot be taken as it is. */
export interface StrictJson {
  readonly value: unknown
  readonly faults: readonly JsonFault[]
}

/** Parses JSON bodies without changing anything in silence, one at a time. Keep one where bodies are many: making its cursor takes longer than reading a small body. */
export class StrictJsonReader {
  readonly #cursor = new JsonCursor()

  /**
   * Throws `INVALID_JSON` when the body is not UTF-8 or breaks the grammar; everything that `JSON.parse` would bend is listed in `faults`, so that the
   * caller can name it together with its own.
   */
  read(bytes: Buffer): StrictJson {
    requireUtf8(bytes)
    const cursor = this.#cursor
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
}

/** Parses one JSON body, as `StrictJsonReader` does. */
export function readStrictJson(bytes: Buffer): StrictJson {
  return new StrictJsonReader().read(bytes)
}

/** Throws `INVALID_JSON` unless `bytes` are UTF-8: decoding would put U+FFFD where the fault is. */
export function requireUtf8(bytes: Buffer): void {
  if (!isUtf8(bytes)) throw new GatewayError('INVALID_JSON', 'The body is not valid UTF-8.')
}
