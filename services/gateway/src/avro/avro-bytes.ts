import { GatewayError } from '../errors.ts'

/** The error of a body that is not what Avro's specification says. */
export function invalidAvro(detail: string, cause?: unknown): GatewayError {
  return new GatewayError('INVALID_AVRO', detail, { cause })
}

/** Values without any bytes that data may always have. */
const freeClaims = 1_024

/** Longest varint of a 64-bit number. */
const varintBytesMax = 10

/**
 * Reads Avro's binary encoding (specification 1.12, "Binary encoding"), one value after the other. Keep one and `reset` it: it allocates nothing.
 * Every method throws `INVALID_AVRO` when the bytes end too early.
 */
export class AvroBytes {
  bytes: Buffer = Buffer.alloc(0)
  /** The next byte. */
  at = 0
  end = 0
  #claims = 0

  reset(bytes: Buffer): void {
    this.bytes = bytes
    this.at = 0
    this.end = bytes.length
    this.#claims = 0
  }

  /**
   * Someone is going to read so many values. Nulls and empty records take no bytes: without a bound, few bytes of a list of lists could keep us busy
   * for ever. Real values take a byte each at least.
   */
  claim(values: number): void {
    this.#claims += values
    if (this.#claims > this.end + freeClaims) throw invalidAvro('The data claim to hold more values than bytes.')
  }

  get left(): number {
    return this.end - this.at
  }

  /** An int or long. Beyond 2^53 it is not exact: compare it with a bound. */
  long(): number {
    const { bytes, end } = this
    let value = 0
    let factor = 1
    for (let read = 0; read < varintBytesMax && this.at < end; read++) {
      const byte = bytes[this.at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      factor *= 128
    }
    throw invalidAvro(`A number is cut off, or longer than ${varintBytesMax} bytes.`)
  }

  /** The length of a text or of bytes that follow; they are all there. */
  length(): number {
    const length = this.long()
    if (length >= 0 && length <= this.left) return length
    throw invalidAvro(`A length of ${length} bytes is negative, or more than what follows.`)
  }

  float(): number {
    return this.bytes.readFloatLE(this.take(4))
  }

  double(): number {
    return this.bytes.readDoubleLE(this.take(8))
  }

  /** Passes over `length` bytes and returns where they begin. */
  take(length: number): number {
    if (length > this.left) throw invalidAvro('The data end too early.')
    const start = this.at
    this.at += length
    return start
  }
}
