import type { Logger } from '@millrace/kit'
import type { SpillFiles } from './files.ts'
import {
  decodeSegmentHeader,
  type EntryPlace,
  entryAt,
  nextEntry,
  type SegmentHeader,
  segmentHeaderBytes,
} from './spill-format.ts'

/** A segment on the disk, as far as it holds entries that count. */
export interface Segment {
  readonly ordinal: number
  readonly name: string
  /** The end of its last entry; what may lie behind it was never acknowledged. */
  bytes: number
  /** The sequence behind its last entry. */
  next: number
}

/** What was found of a log. */
export interface Recovered {
  /** Undefined when there is no segment. */
  readonly logId: string | undefined
  readonly segments: Segment[]
  /** The sequence of the first entry; 0 when there is none. */
  readonly first: number
  readonly ordinalNext: number
  /** Entries that were in the log once, and cannot be read any more. */
  readonly lost: number
}

const segmentPattern = /^\d{12}\.spill$/

/** The file name of a segment: they sort in the order in which they were begun. */
export function segmentName(ordinal: number): string {
  return `${String(ordinal).padStart(12, '0')}.spill`
}

/**
 * Reads every segment and checks every entry. What a write that was not finished has left at an end is cut off: nobody was told that it is
 * kept. Entries that are damaged among whole ones were acknowledged: they are counted as lost, the file is kept under another name, and
 * what is whole goes on in a copy.
 */
export async function recoverSegments(files: SpillFiles, logger: Logger): Promise<Recovered> {
  const names = (await files.list()).filter((name) => segmentPattern.test(name)).sort()
  const found = await readHeaders(files, names, logger)
  const segments: Segment[] = []
  let lost = 0
  const first = found[0]?.header.firstSequence ?? 0
  let expected = first
  for (const [i, { name, ordinal, header }] of found.entries()) {
    // A failed write may have left entries that the next segment holds under the same numbers.
    const before = found[i + 1]?.header.firstSequence ?? Number.MAX_SAFE_INTEGER
    const { segment, lostHere } = await recoverOne(
      { files, logger, name, ordinal },
      { expected: Math.max(expected, header.firstSequence), before },
    )
    const lostBefore = Math.max(0, header.firstSequence - expected)
    if (lostBefore > 0) logger.error({ name, count: lostBefore }, 'entries before a spill segment are missing')
    lost += lostBefore + lostHere
    expected = segment.next
    segments.push(segment)
  }
  const ordinalNext = names.length === 0 ? 0 : Number.parseInt(names.at(-1) ?? '0', 10) + 1
  return { logId: found[0]?.header.logId, segments, first, ordinalNext, lost }
}

interface Found {
  readonly name: string
  readonly ordinal: number
  readonly header: SegmentHeader
}

async function readHeaders(files: SpillFiles, names: readonly string[], logger: Logger): Promise<Found[]> {
  const found: Found[] = []
  for (const name of names) {
    const bytes = await readAll(files, name)
    const header = decodeSegmentHeader(bytes)
    if (header !== undefined) {
      found.push({ name, ordinal: Number.parseInt(name, 10), header })
      continue
    }
    // Header and first entries go to the disk together: without the one, nothing was acknowledged of the others.
    if (nextEntry(bytes, 0) === undefined) await files.remove(name)
    else await setAside(files, name, logger)
  }
  return found
}

interface Place {
  readonly files: SpillFiles
  readonly logger: Logger
  readonly name: string
  readonly ordinal: number
}

/** Takes the entries from `expected` on and before `before`. */
async function recoverOne(
  { files, logger, name, ordinal }: Place,
  range: { readonly expected: number; readonly before: number },
): Promise<{ segment: Segment; lostHere: number }> {
  const bytes = await readAll(files, name)
  const whole: EntryPlace[] = []
  let { expected } = range
  let lostHere = 0
  let isBroken = false
  let at = segmentHeaderBytes
  for (;;) {
    const entry = entryAt(bytes, at) ?? nextEntry(bytes, at)
    if (entry === undefined || entry.sequence >= range.before) break
    if (entry.start > at) isBroken = true
    at = entry.end
    if (entry.sequence < expected) continue
    lostHere += entry.sequence - expected
    expected = entry.sequence + 1
    whole.push(entry)
  }
  if (isBroken) {
    logger.error({ name, count: lostHere }, 'a spill segment is damaged: what is whole goes on, the file is kept')
    const size = await copyWhole({ files, logger, name, ordinal }, bytes, whole)
    return { segment: { ordinal, name, bytes: size, next: expected }, lostHere }
  }
  if (at < bytes.length) {
    logger.warn({ name, count: bytes.length - at }, 'the end of a spill segment was not finished and is cut off')
    await cut(files, name, at)
  }
  return { segment: { ordinal, name, bytes: at, next: expected }, lostHere }
}

/** Keeps the damaged file's bytes under another name, then replaces it by what is whole: a crash in between loses nothing. */
async function copyWhole(place: Place, bytes: Buffer, whole: readonly EntryPlace[]): Promise<number> {
  const { files, name } = place
  await writeAll(files, `${name}.damaged`, [bytes])
  const parts = [bytes.subarray(0, segmentHeaderBytes), ...whole.map(({ start, end }) => bytes.subarray(start, end))]
  await writeAll(files, `${name}.partial`, parts)
  await files.rename(`${name}.partial`, name)
  await files.sync()
  return parts.reduce((sum, part) => sum + part.length, 0)
}

async function writeAll(files: SpillFiles, name: string, parts: readonly Buffer[]): Promise<void> {
  await files.remove(name)
  const file = await files.create(name)
  try {
    await file.write(parts, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await files.sync()
}

async function setAside(files: SpillFiles, name: string, logger: Logger): Promise<void> {
  logger.error({ name }, 'a spill segment without a whole header is set aside under the name .damaged')
  await files.rename(name, `${name}.damaged`)
  await files.sync()
}

async function cut(files: SpillFiles, name: string, size: number): Promise<void> {
  const file = await files.open(name)
  try {
    await file.truncate(size)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function readAll(files: SpillFiles, name: string): Promise<Buffer> {
  const file = await files.open(name)
  try {
    return await file.read(0, await file.size())
  } finally {
    await file.close()
  }
}
