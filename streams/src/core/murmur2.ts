const seed = 0x9747b28c
const multiplier = 0x5bd1e995

/** Where a key lies within bytes that hold more. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** The 32-bit MurmurHash2 that Kafka's clients choose partitions with, as a signed number. Plain 32-bit arithmetic, no allocation. */
export function murmur2(bytes: Buffer, range?: ByteRange): number {
  let at = range?.start ?? 0
  const end = range?.end ?? bytes.length
  let hash = seed ^ (end - at)
  for (; at + 4 <= end; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), multiplier)
    word ^= word >>> 24
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier)
  }
  const left = end - at
  if (left >= 3) hash ^= (bytes[at + 2] ?? 0) << 16
  if (left >= 2) hash ^= (bytes[at + 1] ?? 0) << 8
  if (left >= 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return hash ^ (hash >>> 15)
}

/** The partition that Kafka's default partitioner gives a record with this key: all of the bytes, or those of the range. */
export function partitionOfKey(key: Buffer, partitions: number, range?: ByteRange): number {
  return (murmur2(key, range) & 0x7fffffff) % partitions
}
