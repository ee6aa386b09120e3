import { randomUUID } from 'node:crypto'
import type { Logger } from '@millrace/kit'
import { GatewayError } from '../errors.ts'
import { spillGroupBytesMax, spillRetryAfterSeconds, spillSegmentBytesMax } from '../limits.ts'
import type { SpillFile, SpillFiles } from './files.ts'
import {
  decodeEntry,
  encodeEntry,
  encodeSegmentHeader,
  entryAt,
  entryBytes,
  entryLengthAt,
  type SpillDraft,
  type SpillEntry,
  segmentHeaderBytes,
} from './spill-format.ts'
import { readPosition, writePosition } from './spill-position.ts'
import { recoverSegments, type Segment, segmentName } from './spill-recovery.ts'

/** Where to read on. */
export interface SpillCursor {
  readonly ordinal: number
  readonly at: number
}

/** The log's beginning, wherever that is. */
export const spillStart: SpillCursor = { ordinal: 0, at: segmentHeaderBytes }

/** How a log is opened. */
export interface SpillLogOptions {
  readonly files: SpillFiles
  /** Over all segments. */
  readonly bytesMax: number
  readonly logger: Logger
}

/** What waits for its turn to be written. */
interface Pending {
  readonly draft: SpillDraft
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * A log on disk of what Kafka could not take: bounded, appended at one end and released from the other, in segments that are deleted whole.
 * One owner; one reader. What `append` has resolved for survives a crash at any moment.
 */
export class SpillLog {
  /** The log's name for as long as its directory lives. */
  readonly id: string
  /** Entries that were acknowledged once and could not be read at the opening. */
  readonly lost: number
  readonly #files: SpillFiles
  readonly #bytesMax: number
  readonly #segmentBytesMax: number
  readonly #logger: Logger
  readonly #segments: Segment[]
  /** The file of the last segment, while it takes entries. */
  #file: SpillFile | undefined
  /** The name of a segment that is being begun. */
  #unfinished: string | undefined
  #ordinalNext: number
  #next: number
  #position: number
  #queue: Pending[] = []
  /** Bytes that wait, or are being written. */
  #queuedBytes = 0
  #flushing: Promise<void> | undefined
  #isClosed = false

  private constructor(options: SpillLogOptions, state: LogState) {
    this.#files = options.files
    this.#bytesMax = options.bytesMax
    this.#segmentBytesMax = Math.min(spillSegmentBytesMax, Math.ceil(options.bytesMax / 8))
    this.#logger = options.logger
    this.id = state.id
    this.lost = state.lost
    this.#segments = state.segments
    this.#ordinalNext = state.ordinalNext
    this.#next = state.next
    this.#position = state.position
  }

  /** Opens the log of a directory: checks what is there, cuts off what was not finished, and begins a log where there is none. */
  static async open(options: SpillLogOptions): Promise<SpillLog> {
    const { files, logger } = options
    const recovered = await recoverSegments(files, logger)
    const known = await readPosition(files)
    const id = known?.logId ?? recovered.logId ?? randomUUID()
    const end = recovered.segments.at(-1)?.next ?? 0
    const position = Math.max(known?.next ?? 0, recovered.first)
    if (known === undefined) {
      if (recovered.segments.length > 0)
        logger.error('the spill log has lost its position: what Kafka does not know of is sent again')
      await writePosition(files, { logId: id, next: position })
    }
    const { segments, ordinalNext, lost } = recovered
    const log = new SpillLog(options, { id, segments, ordinalNext, lost, position, next: Math.max(end, position) })
    await log.release(position)
    return log
  }

  /** Everything before is in Kafka. */
  get position(): number {
    return this.#position
  }

  /** The sequence behind the last durable entry. */
  get next(): number {
    return this.#next
  }

  /** Entries that are not in Kafka yet. */
  get entries(): number {
    return this.#next - this.#position
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  /** True when a request of usual size is still taken. */
  get hasRoom(): boolean {
    return this.bytes + this.#queuedBytes + spillGroupBytesMax <= this.#bytesMax
  }

  /** Bytes that a reader at `cursor` has before it. */
  bytesFrom(cursor: SpillCursor): number {
    let bytes = 0
    for (const { ordinal, bytes: size } of this.#segments) {
      if (ordinal === cursor.ordinal) bytes += Math.max(0, size - cursor.at)
      else if (ordinal > cursor.ordinal) bytes += size - segmentHeaderBytes
    }
    return bytes
  }

  /**
   * Resolves when the draft is on the disk; drafts keep the order of the calls. Those that come while the disk is busy are written together and share
   * one wait for it. Throws `SPILL_UNAVAILABLE` when there is no room in the log or on the disk, or when the disk fails: then it is not kept.
   */
  append(draft: SpillDraft): Promise<void> {
    const bytes = entryBytes(draft)
    const taken = this.bytes + this.#queuedBytes + bytes + segmentHeaderBytes
    if (this.#isClosed) return Promise.reject(unavailable('The service is closing.'))
    if (taken > this.#bytesMax) return Promise.reject(unavailable('What waits for Kafka has reached its bound.'))
    this.#queuedBytes += bytes
    return new Promise((resolve, reject) => {
      this.#queue.push({ draft, bytes, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** Resolves when nothing waits to be written. */
  async flushed(): Promise<void> {
    await this.#flushing
  }

  /** Durable entries from `cursor` on, at least one if there is one, at most about `bytesMax`; and where to read on. */
  async read(
    cursor: SpillCursor,
    bytesMax: number,
  ): Promise<{ readonly entries: readonly SpillEntry[]; readonly cursor: SpillCursor }> {
    for (const segment of this.#segments) {
      if (segment.ordinal < cursor.ordinal) continue
      const start = segment.ordinal === cursor.ordinal ? cursor.at : segmentHeaderBytes
      if (start >= segment.bytes) continue
      const entries = await this.#readSegment(segment, start, bytesMax)
      const end = entries.reduce((at, entry) => at + entry.bytes, start)
      return { entries, cursor: { ordinal: segment.ordinal, at: end } }
    }
    return { entries: [], cursor }
  }

  /** Everything before `sequence` is in Kafka: keeps that in mind, and then deletes the segments that hold nothing else. */
  async release(sequence: number): Promise<void> {
    if (sequence > this.#position) {
      await writePosition(this.#files, { logId: this.id, next: sequence })
      this.#position = sequence
      this.#next = Math.max(this.#next, sequence)
    }
    for (const segment of [...this.#segments]) {
      const isBusy = segment === this.#segments.at(-1) && this.#flushing !== undefined
      if (segment.next > sequence || isBusy) return
      await this.#delete(segment)
    }
  }

  /** Writes what waits, and closes; idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#flushing
    await this.#seal()
  }

  async #delete(segment: Segment): Promise<void> {
    const file = segment === this.#segments.at(-1) ? this.#file : undefined
    // At once, so that an append that comes meanwhile begins another segment.
    if (file !== undefined) this.#file = undefined
    this.#segments.splice(this.#segments.indexOf(segment), 1)
    try {
      await file?.close()
      await this.#files.remove(segment.name)
    } catch (error) {
      // It is skipped at the next opening, by the position, and deleted then.
      this.#logger.warn({ err: error, name: segment.name }, 'a spill segment could not be deleted')
    }
  }

  async #readSegment(segment: Segment, start: number, bytesMax: number): Promise<SpillEntry[]> {
    const file = await this.#files.open(segment.name)
    try {
      const left = segment.bytes - start
      let bytes = await file.read(start, Math.min(left, bytesMax))
      const first = entryLengthAt(bytes, 0) ?? bytes.length
      if (first > bytes.length) bytes = await file.read(start, Math.min(left, first))
      const entries: SpillEntry[] = []
      for (let place = entryAt(bytes, 0); place !== undefined; place = entryAt(bytes, place.end)) {
        entries.push(decodeEntry(bytes, place))
      }
      if (entries.length === 0) throw unavailable(`The spill segment ${segment.name} cannot be read at ${start}.`)
      return entries
    } finally {
      await file.close()
    }
  }

  /** Never rejects: every failure goes to those who wait. */
  async #flush(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#write(group.map(({ draft }, i) => encodeEntry(draft, this.#next + i)))
        this.#next += group.length
        for (const { resolve } of group) resolve()
      } catch (cause) {
        this.#logger.error({ err: cause, count: group.length }, 'the spill log could not be written')
        await this.#undo()
        for (const { reject } of group) reject(diskFailure(cause))
      }
      this.#queuedBytes -= group.reduce((sum, { bytes }) => sum + bytes, 0)
    }
    this.#flushing = undefined
  }

  #takeGroup(): readonly Pending[] {
    let count = 0
    let bytes = 0
    for (const pending of this.#queue) {
      if (count > 0 && bytes + pending.bytes > spillGroupBytesMax) break
      bytes += pending.bytes
      count++
    }
    const group = this.#queue.slice(0, count)
    this.#queue = this.#queue.slice(count)
    return group
  }

  async #write(entries: readonly Buffer[]): Promise<void> {
    const bytes = entries.reduce((sum, entry) => sum + entry.length, 0)
    const active = this.#file === undefined ? undefined : this.#segments.at(-1)
    if (active !== undefined && this.#file !== undefined && active.bytes + bytes <= this.#segmentBytesMax) {
      await this.#file.write(entries, active.bytes)
      await this.#file.sync()
      active.bytes += bytes
      active.next += entries.length
      return
    }
    await this.#seal()
    const ordinal = this.#ordinalNext++
    const name = segmentName(ordinal)
    this.#unfinished = name
    this.#file = await this.#files.create(name)
    await this.#file.write([encodeSegmentHeader({ logId: this.id, firstSequence: this.#next }), ...entries], 0)
    await this.#file.sync()
    await this.#files.sync()
    this.#unfinished = undefined
    this.#segments.push({ ordinal, name, bytes: segmentHeaderBytes + bytes, next: this.#next + entries.length })
  }

  /**
   * Takes back what a failed write has left, as far as the disk still can, and begins another segment: whether a file that could not be synced
   * ever tells the truth again is not known. What stays nevertheless is passed over as soon as another segment has its numbers.
   */
  async #undo(): Promise<void> {
    const name = this.#unfinished
    const size = this.#segments.at(-1)?.bytes
    this.#unfinished = undefined
    try {
      if (name !== undefined) await this.#files.remove(name)
      else if (size !== undefined) await this.#file?.truncate(size)
    } catch (error) {
      this.#logger.warn({ err: error }, 'what a failed write has left in the spill log could not be taken back')
    }
    await this.#seal()
  }

  /** The next entry begins another segment. */
  async #seal(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    try {
      await file?.close()
    } catch (error) {
      this.#logger.warn({ err: error }, 'a spill segment could not be closed')
    }
  }
}

interface LogState {
  readonly id: string
  readonly segments: Segment[]
  readonly ordinalNext: number
  readonly next: number
  readonly position: number
  readonly lost: number
}

function unavailable(detail: string, cause?: unknown): GatewayError {
  return new GatewayError('SPILL_UNAVAILABLE', `${detail} Nothing of this request was kept: send it again later.`, {
    cause,
    retryAfterSeconds: spillRetryAfterSeconds,
  })
}

function diskFailure(cause: unknown): GatewayError {
  const isFull = cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
  return unavailable(isFull ? 'The disk for what waits for Kafka is full.' : 'The disk cannot keep it.', cause)
}
