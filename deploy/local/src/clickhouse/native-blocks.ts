import { ClickhouseFailure } from './failure.ts'
import { type ColumnType, columnType } from './native-type.ts'

/** From this revision on, clients expect a block's info before it (`DBMS_MIN_REVISION_WITH_BLOCK_INFO` in ClickHouse's Core/ProtocolDefines.h). */
const revisionWithBlockInfo = 51_903
/** And a byte before each column's data that says whether it is serialised in a way of its own (`DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION`). */
const revisionWithSerialization = 54_454

/** Field 1, overflows: no; field 2, bucket: −1; no more fields. */
const blockInfo = Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0])
const plainSerialization = Buffer.from([0])

/**
 * Blocks in format `Native`, as the engine writes them for revision 0, as a client of `revision` reads them: a server does that by the parameter `client_protocol_version`, of which the engine knows
 * nothing. Throws `NOT_IMPLEMENTED` for columns whose length cannot be told.
 */
export function nativeFor(answer: Uint8Array, revision: number): Uint8Array {
  if (revision < revisionWithBlockInfo) return answer
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength)
  const parts: Buffer[] = []
  const reader = new NativeReader(bytes)
  while (!reader.isAtEnd) {
    parts.push(blockInfo)
    let from = reader.at
    const columns = reader.varint()
    const rows = reader.varint()
    for (let column = 0; column < columns; column++) {
      reader.text()
      const type = columnType(reader.text())
      if (revision >= revisionWithSerialization) {
        parts.push(bytes.subarray(from, reader.at), plainSerialization)
        from = reader.at
      }
      if (rows === 0) continue
      passPrefix(type, reader)
      passRows(type, rows, reader)
    }
    parts.push(bytes.subarray(from, reader.at))
  }
  return Buffer.concat(parts)
}

class NativeReader {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length
  }

  varint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes.readUInt8(this.at++)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }

  uint64(): bigint {
    this.at += 8
    return this.#bytes.readBigUInt64LE(this.at - 8)
  }

  text(): string {
    const length = this.varint()
    this.pass(length)
    return this.#bytes.toString('utf8', this.at - length, this.at)
  }

  pass(length: number): void {
    this.at += length
    if (this.at > this.#bytes.length) throw new RangeError('a column passes the end of its block')
  }
}

/** What a column has once, before the data of all of its parts. */
function passPrefix(type: ColumnType, reader: NativeReader): void {
  if (type.kind === 'dictionary') reader.pass(8)
  else if (type.kind === 'nullable' || type.kind === 'array') passPrefix(type.of, reader)
  else if (type.kind === 'tuple') for (const element of type.of) passPrefix(element, reader)
}

function passRows(type: ColumnType, rows: number, reader: NativeReader): void {
  switch (type.kind) {
    case 'fixed':
      reader.pass(rows * type.bytes)
      return
    case 'text':
      for (let row = 0; row < rows; row++) reader.pass(reader.varint())
      return
    case 'nullable':
      reader.pass(rows)
      passRows(type.of, rows, reader)
      return
    case 'tuple':
      for (const element of type.of) passRows(element, rows, reader)
      return
    case 'array':
      // The ends of the rows' parts: the last one is how many elements there are.
      reader.pass((rows - 1) * 8)
      passRows(type.of, rows === 0 ? 0 : Number(reader.uint64()), reader)
      return
    case 'dictionary':
      passDictionary(type.of, rows, reader)
      return
    case 'unknown':
      throw new ClickhouseFailure(
        48,
        'NOT_IMPLEMENTED',
        `Columns of type ${type.name} for clients of the native format are not supported by the embedded ClickHouse of the development stack`,
      )
  }
}

const indexBytes = [1, 2, 4, 8]
const hasKeys = 1n << 9n

/** Keys, and for each row the number of its key; in several parts when there are many rows. */
function passDictionary(keys: ColumnType, rows: number, reader: NativeReader): void {
  for (let left = rows; left > 0; ) {
    const flags = reader.uint64()
    if ((flags & hasKeys) !== 0n) passRows(keys, Number(reader.uint64()), reader)
    const indexes = Number(reader.uint64())
    reader.pass(indexes * (indexBytes[Number(flags & 255n)] ?? 8))
    left -= indexes
    if (indexes === 0) throw new RangeError('a column of keys has fewer rows than its block')
  }
}
