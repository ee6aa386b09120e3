/**
 * Unsigned LEB128 varints of at most 53 bits, in plain numbers: seven bits a byte, the lowest first, the top bit set when more follow.
 */

/** How many bytes `value` takes. */
export function uvarintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++
  return bytes
}

/** Writes a whole number from 0 to 2^53 − 1 at `at` and returns the position behind it. */
export function writeUvarint(bytes: Buffer, value: number, at: number): number {
  let position = at
  let rest = value
  while (rest >= 128) {
    bytes[position++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  bytes[position++] = rest
  return position
}

/** Reads varints one after the other. Keep one and `reset` it: it allocates nothing. */
export class UvarintReader {
  #bytes: Buffer = Buffer.alloc(0)
  #end = 0
  /** The position of the next byte. */
  at = 0

  reset(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes
    this.at = start
    this.#end = end
  }

  /** The next number. Throws a `RangeError` when the bytes end within it or it passes 2^53 − 1. */
  next(): number {
    let value = 0
    let factor = 1
    for (;;) {
      if (this.at >= this.#end) throw new RangeError('a varint is cut off')
      const byte = this.#bytes[this.at++] ?? 0
      value += (byte & 127) * factor
      if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a varint is larger than 2^53 - 1')
      if (byte < 128) return value
      factor *= 128
    }
  }
}
