import { StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import type { StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import type { TaskStore } from '../state/store.ts'
import { windowRowBound } from '../state/window-key.ts'
import type { Change } from './change.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { type HeldChange, SuppressBuffer } from './suppress-buffer.ts'
import {
  readSuppressedRow,
  suppressedKeyOfRow,
  suppressedRow,
  suppressedRowKey,
  suppressedTimeOfRow,
} from './suppressed-row.ts'

/** What to do with changes above the bounds: let the oldest leave before its time, or stop the application. */
export type WhenFull = 'emit-early' | 'shut-down'

/** What holds changes back. */
export interface SuppressOptions<K, V> {
  readonly name: string
  readonly store: string
  readonly keySerde: Serde<K>
  readonly valueSerde: Serde<V>
  /** The time that a key's first change is held from; the change's timestamp when absent. */
  readonly timeOf?: ((key: K) => number) | undefined
  /** A change leaves when stream time has reached the time it is held from, and this much more. */
  readonly holdMs: number
  /** Only results leave, no deletions. */
  readonly dropsTombstones: boolean
  readonly recordsMax: number
  /** Of keys and values, in bytes. Infinite: they are not counted. */
  readonly bytesMax: number
  readonly whenFull: WhenFull
  /** As of a windowed aggregation: `observed` by this node, or the `task`'s, where the inputs carry watermarks. */
  readonly streamTime: 'observed' | 'task'
}

/**
 * Holds a table's changes back and hands on the last one of each row, when its time has come or the buffer is full. A row that changes while
 * it is held keeps its place. What leaves has the timestamp and the headers of its last update, and as old value the one before its first:
 * what was handed on before it. (Kafka Streams gives the old value of the last update.)
 *
 * The buffer is in memory; what changed of it goes to the store at each commit, from which it is filled after a restart.
 */
export class SuppressProcessor<K, V> implements Processor<K, Change<V | null>, K, Change<V | null>> {
  readonly #options: SuppressOptions<K, V>
  readonly #buffer = new SuppressBuffer<K, V>()
  /** What changed since the last commit, also if it has left since. */
  #changed: HeldChange<K, V>[] = []
  readonly #countsBytes: boolean
  #context: ProcessorContext<K, Change<V | null>> | undefined
  #store: TaskStore | undefined
  #observedMs = -1
  #bytes = 0

  constructor(options: SuppressOptions<K, V>) {
    this.#options = options
    this.#countsBytes = options.bytesMax !== Number.POSITIVE_INFINITY
  }

  async init(context: ProcessorContext<K, Change<V | null>>): Promise<void> {
    const [observedMs = -1] = context.restoredTimes
    this.#context = context
    this.#observedMs = observedMs
    this.#store = context.store(this.#options.store)
    for await (const { key, value } of this.#store.range(windowRowBound(0), endOfRows)) this.#restore(key, value)
  }

  process(record: StreamRecord<K, Change<V | null>>): void {
    if (record.timestamp > this.#observedMs) this.#observedMs = record.timestamp
    const held = this.#held(record)
    this.#bytes -= held.bytes
    held.bytes = this.#countsBytes ? this.#rowOf(held).length + held.id.length : 0
    this.#bytes += held.bytes
    this.#mark(held)
    this.#release()
    this.#relieve()
  }

  flush(): void {
    this.#release()
    for (const held of this.#changed) {
      if (!held.isChanged) continue
      this.#store?.put(rowKeyOf(held), this.#rowOf(held), held.timestamp)
      held.isChanged = false
      held.isStored = true
    }
    this.#changed = []
  }

  times(): readonly number[] {
    return [this.#observedMs]
  }

  /** The change that is held for the record's key, with the record's in it. */
  #held(record: StreamRecord<K, Change<V | null>>): HeldChange<K, V> {
    const { key, timestamp, headers } = record
    const { value, old = null, final } = record.value
    const id = this.#options.keySerde.write(key).toString('latin1')
    const known = this.#buffer.get(id)
    if (known !== undefined) {
      known.value = value
      known.final = final
      known.timestamp = timestamp
      known.headers = headers
      return known
    }
    const timeMs = this.#options.timeOf?.(key) ?? timestamp
    const held = {
      key,
      id,
      timeMs,
      value,
      old,
      final,
      timestamp,
      headers,
      bytes: 0,
      isChanged: false,
      isStored: false,
    }
    this.#buffer.add(held)
    return held
  }

  #mark(held: HeldChange<K, V>): void {
    if (held.isChanged) return
    held.isChanged = true
    this.#changed.push(held)
    if (this.#changed.length === limits.changedRowsMax) this.#context?.requestCommit()
  }

  /** Hands on what is due. */
  #release(): void {
    const { streamTime, holdMs } = this.#options
    const nowMs = streamTime === 'task' ? (this.#context?.streamTimeMs() ?? -1) : this.#observedMs
    for (
      let first = this.#buffer.first();
      first !== undefined && first.timeMs <= nowMs - holdMs;
      first = this.#buffer.first()
    )
      this.#emit(first)
  }

  /** Brings the buffer below its bounds. */
  #relieve(): void {
    for (let first = this.#buffer.first(); first !== undefined && this.#isFull(); first = this.#buffer.first()) {
      if (this.#options.whenFull === 'shut-down') throw this.#fullError()
      this.#emit(first)
    }
  }

  #emit(held: HeldChange<K, V>): void {
    const { key, value, old, final, timestamp, headers } = held
    this.#buffer.removeFirst()
    this.#bytes -= held.bytes
    held.isChanged = false
    if (held.isStored) this.#store?.put(rowKeyOf(held), null, timestamp)
    if (value === null && this.#options.dropsTombstones) return
    this.#context?.forward({ key, value: { value, old, final }, timestamp, headers })
  }

  #isFull(): boolean {
    return this.#buffer.size > this.#options.recordsMax || this.#bytes > this.#options.bytesMax
  }

  #fullError(): StreamsError {
    const { name, store, recordsMax, bytesMax } = this.#options
    const message = `suppress "${name}" holds ${this.#buffer.size} records of ${this.#bytes} bytes; at most ${recordsMax} records and ${bytesMax} bytes are allowed: raise recordsMax or bytesMax, or let it emit early`
    return new StreamsError('BUFFER_FULL', message, { store })
  }

  #rowOf(held: HeldChange<K, V>): Buffer {
    return suppressedRow(held, this.#options.valueSerde)
  }

  #restore(rowKey: Buffer, row: Buffer): void {
    const { keySerde, valueSerde } = this.#options
    const keyBytes = suppressedKeyOfRow(rowKey)
    const { value, old, final, timestamp, headers } = readSuppressedRow(row, valueSerde)
    const bytes = this.#countsBytes ? row.length + keyBytes.length : 0
    this.#bytes += bytes
    this.#buffer.add({
      key: keySerde.read(keyBytes, 0, keyBytes.length),
      id: keyBytes.toString('latin1'),
      timeMs: suppressedTimeOfRow(rowKey),
      value,
      old,
      final,
      timestamp,
      headers,
      bytes,
      isChanged: false,
      isStored: true,
    })
  }
}

/** Behind every row: times stay below 2^53. */
const endOfRows = windowRowBound(Number.MAX_SAFE_INTEGER)

function rowKeyOf<K, V>(held: HeldChange<K, V>): Buffer {
  return suppressedRowKey(Buffer.from(held.id, 'latin1'), held.timeMs)
}
