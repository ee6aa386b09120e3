import type { Serde } from './serde.ts'

/** Texts that are remembered; a power of two. */
const slots = 1_024

/** Longer texts are seldom repeated. */
const lengthMax = 64

/**
 * UTF-8 text that is mostly one of few, such as a type's name: a text that was read before is found by its bytes and not made again, which
 * also spares whoever looks it up in a Map the computing of its hash. Remembers the last text of each of 1,024 hash values, no more.
 */
export function internedUtf8(): Serde<string> {
  const texts: (string | undefined)[] = new Array<string | undefined>(slots).fill(undefined)
  const sources: (Buffer | undefined)[] = new Array<Buffer | undefined>(slots).fill(undefined)

  return {
    read(bytes, start, end) {
      if (end - start > lengthMax) return bytes.toString('utf8', start, end)
      let hash = 0x811c9dc5
      for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
      const slot = (hash ^ (hash >>> 15)) & (slots - 1)
      const known = sources[slot]
      if (known !== undefined && known.length === end - start && startsWith(known, bytes, start))
        return texts[slot] ?? ''
      const text = bytes.toString('utf8', start, end)
      texts[slot] = text
      sources[slot] = Buffer.from(bytes.subarray(start, end))
      return text
    },
    write: (value) => Buffer.from(value, 'utf8'),
  }
}

function startsWith(known: Buffer, bytes: Buffer, start: number): boolean {
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false
  return true
}
