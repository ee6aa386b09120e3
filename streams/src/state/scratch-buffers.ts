/** Longer buffers are rare enough to be made anew. */
const lengthMax = 1_024

/**
 * One buffer for each length, used again and again: for keys and values that whoever gets them copies, as a `TaskStore` does. A buffer is
 * valid until the next one of its length is asked for.
 */
export class ScratchBuffers {
  readonly #byLength: (Buffer | undefined)[] = new Array<Buffer | undefined>(lengthMax + 1).fill(undefined)

  /** A buffer of this length; whatever was last written to it is still there. */
  of(length: number): Buffer {
    if (length > lengthMax) return Buffer.allocUnsafe(length)
    let buffer = this.#byLength[length]
    if (buffer === undefined) {
      buffer = Buffer.allocUnsafeSlow(length)
      this.#byLength[length] = buffer
    }
    return buffer
  }
}
