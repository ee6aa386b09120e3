import { copyBytes } from '../core/copy-bytes.ts'
import { operandBytesMax, operandsMax } from './limits.ts'

const slabBytes = 64 * 1024

/** Buffers by their length, which are lent for as long as a write takes: hundreds of thousands a second, nearly all of a few lengths. */
export class Operands {
  #free = noneFree()
  #count = 0
  /** What new buffers are cut from: not Node's pool, most of whose slabs they would hold for ever. */
  #slab = Buffer.alloc(0)
  #at = 0

  /** A buffer of this length, with whatever is in it. Noted in `used`, for `takeBack`. */
  take(length: number, used: Buffer[]): Buffer {
    const known = this.#free[length]?.pop()
    if (known !== undefined) this.#count--
    const bytes = known ?? this.#cut(length)
    used.push(bytes)
    return bytes
  }

  /** A copy that stays as it is until `takeBack`. */
  copyOf(bytes: Buffer, used: Buffer[]): Buffer {
    const copy = this.take(bytes.length, used)
    copyBytes(bytes, copy, 0)
    return copy
  }

  /** Nobody reads them any more. When there is no room, those that were kept go: they are of lengths that the last writes had less use for. */
  takeBack(used: readonly Buffer[]): void {
    for (const bytes of used) {
      if (this.#count === operandsMax) {
        this.#free = noneFree()
        this.#count = 0
      }
      const free = this.#free[bytes.length]
      if (free === undefined) continue
      free.push(bytes)
      this.#count++
    }
  }

  #cut(length: number): Buffer {
    if (length > operandBytesMax) return Buffer.allocUnsafeSlow(length)
    if (this.#at + length > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes)
      this.#at = 0
    }
    this.#at += length
    return this.#slab.subarray(this.#at - length, this.#at)
  }
}

/** Lists for every length that is kept. */
function noneFree(): readonly Buffer[][] {
  return Array.from({ length: operandBytesMax + 1 }, () => [])
}
