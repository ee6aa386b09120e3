import { StreamsError } from '../core/errors.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import type { StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import { encodeWatermark, type Watermark, watermarkHeader } from '../core/watermark.ts'
import type { SinkNode } from '../topology/topology.ts'
import type { Receiver } from './task-node.ts'
import type { TaskState } from './task-state.ts'

/** Writes a node's records to a topic. */
export class TaskSink implements Receiver {
  readonly name: string
  /** Records that came, since the start; watermarks are not among them. */
  records = 0
  readonly #node: SinkNode
  readonly #topic: string
  readonly #partitions: number
  readonly #state: TaskState

  constructor(node: SinkNode, to: { readonly topic: string; readonly partitions: number }, state: TaskState) {
    this.name = node.name
    this.#node = node
    this.#topic = to.topic
    this.#partitions = to.partitions
    this.#state = state
  }

  get hasWatermarks(): boolean {
    return this.#node.watermarks
  }

  accept(record: StreamRecord<unknown, unknown>): void {
    this.records++
    const { keySerde, valueSerde } = this.#node
    const key = this.#write(keySerde, record.key, 'key')
    const value = this.#write(valueSerde, record.value, 'value')
    const partition = this.#partitionOf(record, key)
    const { timestamp, headers } = record
    this.#state.send({ topic: this.#topic, partition, key, value, timestamp, headers })
  }

  /** Tells every partition of the topic how far this task is. */
  mark(mark: Watermark): void {
    const value = encodeWatermark(mark)
    const headers = [{ key: watermarkHeader, value: null }]
    const timestamp = Math.max(mark.streamTimeMs, 0)
    for (let partition = 0; partition < this.#partitions; partition++)
      this.#state.send({ topic: this.#topic, partition, key: null, value, timestamp, headers })
  }

  #write(serde: Serde<unknown>, value: unknown, what: 'key' | 'value'): Buffer | null {
    if (value === null || value === undefined) return null
    try {
      return serde.write(value)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      const message = `sink "${this.name}" could not write a ${what} for topic "${this.#topic}": ${reason}`
      throw new StreamsError('SERIALIZATION', message, { topic: this.#topic, cause })
    }
  }

  #partitionOf(record: StreamRecord<unknown, unknown>, key: Buffer | null): number {
    const partitions = this.#partitions
    if (this.#node.partitionOf === undefined)
      return key === null ? this.#state.partition % partitions : partitionOfKey(key, partitions)
    const partition = this.#node.partitionOf(record, partitions)
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return partition
    throw new StreamsError(
      'SERIALIZATION',
      `sink "${this.name}": partitionOf gave ${partition}; topic "${this.#topic}" has partitions 0 to ${partitions - 1}`,
      { topic: this.#topic },
    )
  }
}
