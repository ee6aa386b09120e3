import { copyBytes } from '../core/copy-bytes.ts'
import type { ScratchBuffers } from './scratch-buffers.ts'
import { windowChangelogKey } from './window-key.ts'

/** What is going on with a row; bits. */
export const rowMarks = {
  /** Changed since the last drain; goes to the changelog. */
  changed: 1,
  /** Its time was over since the last drain: is only deleted. */
  expired: 2,
  /** Drained, and not committed yet. */
  draining: 4,
  /** Asked for since the rows in memory were last looked through. */
  used: 8,
  /** Asked for, and not loaded yet: what the byte store has is not known. */
  wanted: 16,
} as const

/** Marks of rows that must stay in memory: the byte store does not have them as they are, or somebody counts on them. */
const pinned = rowMarks.changed | rowMarks.expired | rowMarks.draining | rowMarks.wanted

/** Small, for windows that hold a handful of rows. Arrays this short lie in V8's own heap. */
const rowsMin = 4
const chunkBytesMin = 256
/** The table itself: ten typed arrays and their headers. */
const tableBytes = 2_500
/** Garbage of fewer bytes is not worth a new table. */
const wasteBytesMin = 8 * 1024
/** A new chunk is half of what is there already, up to this: little is wasted in small tables, and large ones have few chunks. */
const chunkBytesMax = 256 * 1024

/** What a row takes in the columns, and in the slots of the index, which is between a quarter and half full. */
const columnBytesPerRow = 6 * 4 + 4 + 8 + 1
const slotsPerRow = 2

/**
 * Rows in memory by the bytes of their keys. Keys and values lie one behind the other in large chunks, what else there is of a row in typed
 * columns: a row is a number, no object. With an object, a key string and two small buffers per row, each of which holds a whole slab of Node's
 * pool, a bound of 256 MiB took a process to 1.1 GB, and a fifth of its time went into garbage collection (docs/decisions/0008); here a row
 * takes some 60 bytes beside its own.
 *
 * Bytes are only appended, never overwritten: a key or value that was handed out stays as it was. What becomes garbage goes with `kept`,
 * which makes another table of the rows that are worth it. Rows are never removed one by one; one that is deleted has the value null.
 */
export class RowTable {
  /** The first and the last start of windows that its rows may belong to. */
  readonly fromMs: number
  readonly throughMs: number
  #slots = new Int32Array(rowsMin * slotsPerRow)
  #hashes = new Int32Array(rowsMin)
  #keyChunks = new Uint32Array(rowsMin)
  #keyStarts = new Uint32Array(rowsMin)
  #keyLengths = new Uint32Array(rowsMin)
  #valueChunks = new Uint32Array(rowsMin)
  #valueStarts = new Uint32Array(rowsMin)
  /** −1: the value is null. */
  #valueLengths = new Int32Array(rowsMin)
  #timestamps = new Float64Array(rowsMin)
  #marks = new Uint8Array(rowsMin)
  #size = 0
  readonly #chunks: Buffer[] = []
  #chunkBytes = 0
  /** Where the last chunk goes on. */
  #at = 0
  /** Bytes of keys and values that are still reachable. */
  #liveBytes = 0

  constructor(fromMs: number, throughMs: number) {
    this.fromMs = fromMs
    this.throughMs = throughMs
  }

  /** Rows, deleted and wanted ones too; they are numbered from 0, in the order in which they came. */
  get size(): number {
    return this.#size
  }

  /** The memory it takes. */
  get bytes(): number {
    return tableBytes + this.#hashes.length * (columnBytesPerRow + 4 * slotsPerRow) + this.#chunkBytes
  }

  /** Most of its bytes belong to values that were replaced. */
  get isWasteful(): boolean {
    return this.#chunkBytes > 3 * this.#liveBytes + wasteBytesMin
  }

  /** The row with this key; −1 when there is none. */
  find(key: Buffer): number {
    return this.#findHashed(key, hashOf(key))
  }

  /** The row with this key, which is added if it is not there: its value is null then, and it has no marks. */
  add(key: Buffer): number {
    const hash = hashOf(key)
    const known = this.#findHashed(key, hash)
    if (known >= 0) return known
    if (this.#size === this.#hashes.length) this.#grow()
    const row = this.#size++
    this.#hashes[row] = hash
    const length = key.length
    this.#reserve(length)
    this.#keyChunks[row] = this.#chunks.length - 1
    this.#keyStarts[row] = this.#at
    this.#keyLengths[row] = length
    this.#append(key)
    this.#valueLengths[row] = -1
    this.#marks[row] = 0
    this.#occupy(row, hash)
    return row
  }

  setValue(row: number, value: Buffer | null): void {
    this.#liveBytes -= Math.max(this.#valueLengths[row] ?? 0, 0)
    if (value === null) {
      this.#valueLengths[row] = -1
      return
    }
    const length = value.length
    this.#reserve(length)
    this.#valueChunks[row] = this.#chunks.length - 1
    this.#valueStarts[row] = this.#at
    this.#valueLengths[row] = length
    this.#append(value)
  }

  /** A view that stays as it is. */
  keyOf(row: number): Buffer {
    const start = this.#keyStarts[row] ?? 0
    return this.#chunk(this.#keyChunks[row]).subarray(start, start + (this.#keyLengths[row] ?? 0))
  }

  /** A view that stays as it is; of what follows the first `skipped` bytes. */
  valueOf(row: number, skipped = 0): Buffer | null {
    const length = this.#valueLengths[row] ?? -1
    if (length < 0) return null
    const start = this.#valueStarts[row] ?? 0
    return this.#chunk(this.#valueChunks[row]).subarray(start + skipped, start + length)
  }

  /** The same as `keyOf`, copied into one of the scratch buffers: a view for each of many rows is more work, and garbage. */
  copyKey(row: number, scratch: ScratchBuffers): Buffer {
    const length = this.#keyLengths[row] ?? 0
    return copied(this.#chunk(this.#keyChunks[row]), this.#keyStarts[row] ?? 0, scratch.of(length))
  }

  /** The same as `valueOf`, copied into one of the scratch buffers, which are not to be those of the keys. */
  copyValue(row: number, scratch: ScratchBuffers, skipped = 0): Buffer | null {
    const length = this.#valueLengths[row] ?? -1
    if (length < 0) return null
    const start = (this.#valueStarts[row] ?? 0) + skipped
    return copied(this.#chunk(this.#valueChunks[row]), start, scratch.of(length - skipped))
  }

  /** A key of a window's row, in the form of changelogs; in one of the scratch buffers. */
  windowChangelogKeyOf(row: number, scratch: ScratchBuffers): Buffer {
    const start = this.#keyStarts[row] ?? 0
    const length = this.#keyLengths[row] ?? 0
    return windowChangelogKey(this.#chunk(this.#keyChunks[row]), { start, end: start + length }, scratch)
  }

  /** Bytes of key and value. */
  bytesOf(row: number): number {
    return (this.#keyLengths[row] ?? 0) + Math.max(this.#valueLengths[row] ?? 0, 0)
  }

  timestampOf(row: number): number {
    return this.#timestamps[row] ?? 0
  }

  setTimestamp(row: number, timestamp: number): void {
    this.#timestamps[row] = timestamp
  }

  marksOf(row: number): number {
    return this.#marks[row] ?? 0
  }

  setMarks(row: number, marks: number): void {
    this.#marks[row] = marks
  }

  /**
   * Another table with the rows that are to stay: pinned ones in any case; then, as far as `bytesMax` goes, those in use and at last the
   * others, the newest first. The marks of use are taken away. `moved` is told each row's number here and there.
   */
  kept(bytesMax: number, moved: (from: number, to: number) => void): RowTable {
    const stays = this.#choose(bytesMax)
    const table = new RowTable(this.fromMs, this.throughMs)
    for (let row = 0; row < this.#size; row++) {
      if (stays[row] !== 1) continue
      const to = table.add(this.keyOf(row))
      table.setValue(to, this.valueOf(row))
      table.setTimestamp(to, this.timestampOf(row))
      table.setMarks(to, this.marksOf(row) & ~rowMarks.used)
      moved(row, to)
    }
    return table
  }

  /** Whether there are rows that must stay. */
  get hasPinned(): boolean {
    for (let row = 0; row < this.#size; row++) if (((this.#marks[row] ?? 0) & pinned) !== 0) return true
    return false
  }

  #choose(bytesMax: number): Uint8Array {
    const stays = new Uint8Array(this.#size)
    let bytesLeft = bytesMax
    for (const wanted of [pinned, rowMarks.used, 0]) {
      for (let row = this.#size - 1; row >= 0; row--) {
        if (stays[row] === 1 || (wanted !== 0 && ((this.#marks[row] ?? 0) & wanted) === 0)) continue
        const bytes = this.bytesOf(row) + 2 * (columnBytesPerRow + 4 * slotsPerRow) // columns may be half empty
        if (wanted !== pinned && bytes > bytesLeft) break
        bytesLeft -= bytes
        stays[row] = 1
      }
    }
    return stays
  }

  #findHashed(key: Buffer, hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = (slots[slot] ?? 0) - 1
      if (row < 0 || (this.#hashes[row] === hash && this.#hasKey(row, key))) return row
    }
  }

  #hasKey(row: number, key: Buffer): boolean {
    const length = key.length
    if (this.#keyLengths[row] !== length) return false
    const chunk = this.#chunk(this.#keyChunks[row])
    const start = this.#keyStarts[row] ?? 0
    // From the end: keys of one window begin with the same bytes.
    for (let i = length - 1; i >= 0; i--) if (chunk[start + i] !== key[i]) return false
    return true
  }

  #occupy(row: number, hash: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = row + 1
  }

  #grow(): void {
    const rows = this.#hashes.length * 2
    this.#hashes = enlarged(this.#hashes, new Int32Array(rows))
    this.#keyChunks = enlarged(this.#keyChunks, new Uint32Array(rows))
    this.#keyStarts = enlarged(this.#keyStarts, new Uint32Array(rows))
    this.#keyLengths = enlarged(this.#keyLengths, new Uint32Array(rows))
    this.#valueChunks = enlarged(this.#valueChunks, new Uint32Array(rows))
    this.#valueStarts = enlarged(this.#valueStarts, new Uint32Array(rows))
    this.#valueLengths = enlarged(this.#valueLengths, new Int32Array(rows))
    this.#timestamps = enlarged(this.#timestamps, new Float64Array(rows))
    this.#marks = enlarged(this.#marks, new Uint8Array(rows))
    this.#slots = new Int32Array(rows * slotsPerRow)
    for (let row = 0; row < this.#size; row++) this.#occupy(row, this.#hashes[row] ?? 0)
  }

  /** Makes the next `bytes` bytes lie in one chunk. */
  #reserve(bytes: number): void {
    const last = this.#chunks.at(-1)
    if (last !== undefined && this.#at + bytes <= last.length) return
    const size = Math.max(bytes, Math.min(Math.max(this.#chunkBytes >>> 1, chunkBytesMin), chunkBytesMax))
    // Not from Node's pool: a chunk lives long, and would hold the whole slab.
    this.#chunks.push(Buffer.allocUnsafeSlow(size))
    this.#chunkBytes += size
    this.#at = 0
  }

  #append(bytes: Buffer): void {
    const chunk = this.#chunk(this.#chunks.length - 1)
    this.#at = copyBytes(bytes, chunk, this.#at)
    this.#liveBytes += bytes.length
  }

  #chunk(index: number | undefined): Buffer {
    return this.#chunks[index ?? 0] ?? noBytes
  }
}

const noBytes = Buffer.alloc(0)

/** Fills `to` with the bytes from `start` on. */
function copied(from: Buffer, start: number, to: Buffer): Buffer {
  copyBytes(from, to, 0, start, start + to.length)
  return to
}

function enlarged<T extends Int32Array | Uint32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from)
  return to
}

/** FNV-1a, its high bits mixed into the low ones, which choose the slot. */
function hashOf(key: Buffer): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ (key[i] ?? 0), 0x01000193)
  return (hash ^ (hash >>> 15)) | 0
}
