/** murmur2 as the Java client computes it: 32-bit, seed 0x9747b28c, little endian. The result is signed. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  let hash = 0x9747b28c ^ length
  const end = length - (length % 4)
  for (let at = 0; at < end; at += 4) {
    let k =
      byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)
    k = Math.imul(k, 0x5bd1e995)
    k ^= k >>> 24
    hash = Math.imul(hash, 0x5bd1e995) ^ Math.imul(k, 0x5bd1e995)
  }
  const rest = length - end
  if (rest === 3) hash ^= byteAt(bytes, end + 2) << 16
  if (rest >= 2) hash ^= byteAt(bytes, end + 1) << 8
  if (rest >= 1) hash = Math.imul(hash ^ byteAt(bytes, end), 0x5bd1e995)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0x5bd1e995)
  return hash ^ (hash >>> 15)
}

/** The partition that Kafka's default partitioner chooses for a record with a key: `toPositive(murmur2(key)) % partitions`. */
export function defaultPartition(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}
