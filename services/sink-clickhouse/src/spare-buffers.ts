/** Sizes are whole multiples of this, so that a buffer fits the next container, too, which is a little smaller or larger. */
const stepBytes = 256 * 1024

/**
 * Buffers of containers that ClickHouse has acknowledged, for the next ones: a fresh one of 16 MiB per insert is memory that the kernel has to find and clear, and that makes V8 collect
 * its garbage.
 */
export class SpareBuffers {
  readonly #buffersMax: number
  readonly #free: Buffer[] = []

  /** Keeps up to `buffersMax`, the largest ones. */
  constructor(buffersMax: number) {
    this.#buffersMax = buffersMax
  }

  /** A buffer of at least `bytes`, with whatever is in it. */
  take(bytes: number): Buffer {
    const found = this.#free.findIndex((buffer) => buffer.length >= bytes)
    const [buffer] = found < 0 ? [] : this.#free.splice(found, 1)
    return buffer ?? Buffer.allocUnsafeSlow(Math.ceil(bytes / stepBytes) * stepBytes)
  }

  /** Takes a buffer back that nobody reads or writes any more. */
  give(buffer: Buffer): void {
    this.#free.push(buffer)
    // The smallest first: small containers leave the large buffers alone.
    this.#free.sort((a, b) => a.length - b.length)
    if (this.#free.length > this.#buffersMax) this.#free.shift()
  }
}
