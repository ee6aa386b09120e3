/**
 * Bytes to values and back. `read` gets a slice of a buffer that is reused: it must not keep a view of it.
 * Both are synchronous and throw on anything they cannot read or write; the caller translates.
 */
export interface Serde<T> {
  read(bytes: Buffer, start: number, end: number): T
  /** A buffer that the caller owns. */
  write(value: T): Buffer
  /** True when null, which is no bytes at all, is one of the values: a source then keeps records whose value is null. */
  readonly nullable?: boolean
}

/** The same serde for a topic whose records may have no value, such as the tombstones of a compacted one. */
export function nullable<T>(serde: Serde<T>): Serde<T | null> {
  return {
    read: (bytes, start, end) => serde.read(bytes, start, end),
    write(value) {
      if (value === null) throw new TypeError('null has no bytes')
      return serde.write(value)
    },
    nullable: true,
  }
}

/** UTF-8 text. */
export const utf8: Serde<string> = {
  read: (bytes, start, end) => bytes.toString('utf8', start, end),
  write: (value) => Buffer.from(value, 'utf8'),
}

/** Bytes as they are, copied on read. */
export const bytes: Serde<Buffer> = {
  read: (source, start, end) => Buffer.from(source.subarray(start, end)),
  write: (value) => value,
}

/** JSON text. */
export function json<T>(): Serde<T> {
  return {
    read: (source, start, end) => JSON.parse(source.toString('utf8', start, end)) as T,
    write: (value) => Buffer.from(JSON.stringify(value), 'utf8'),
  }
}
