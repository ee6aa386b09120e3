const polynomial = 0x82f63b78

const table = new Int32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
  table[byte] = crc
}

/**
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches, in plain JavaScript. Adapters inject a native one where they have it;
 * Node's `zlib.crc32` is another polynomial.
 */
export function crc32c(bytes: Buffer): number {
  let crc = -1
  for (let i = 0; i < bytes.length; i++) crc = (table[(crc ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8)
  return ~crc >>> 0
}
