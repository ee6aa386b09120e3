const seed = 0x9747b28c
const multiplier = 0x5bd1e995

/** The 32-bit MurmurHash2 that Kafka's clients choose partitions with, as a signed number. Plain 32-bit arithmetic, no allocation. */
export function murmur2(bytes: Buffer): number {
  const length = bytes.length
  let hash = seed ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), multiplier)
    word ^= word >>> 24
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier)
  }
  const left = length - at
  if (left >= 3) hash ^= (bytes[at + 2] ?? 0) << 16
  if (left >= 2) hash ^= (bytes[at + 1] ?? 0) << 8
  if (left >= 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return hash ^ (hash >>> 15)
}

/** The partition that Kafka's default partitioner gives a record with this key. */
export function partitionOfKey(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
