import type { ClickHouse } from '@millrace/storage/clickhouse'
import type { BatchSink } from '@millrace/streams/sink'
import { AvroContainer, withPlace } from './avro-container.ts'
import { deadLetterFields, writeDeadLetter } from './dead-letter-row.ts'
import type { SpareBuffers } from './spare-buffers.ts'

/** What the sink of a dead-letter topic needs. */
export interface DeadLetterSinkOptions {
  readonly table: string
  readonly clickHouse: Pick<ClickHouse, 'insertAvro'>
  /** False where records hold personal data: their keys and values stay in Kafka, which forgets them in time. */
  readonly keepsContent: boolean
  /** Memory of containers, which the sinks of a process share. */
  readonly spares: SpareBuffers
}

const containerSchema = withPlace({ type: 'record', name: 'DeadLetter', fields: deadLetterFields })

/** Writes dead letters into their table: there is nothing in a dead-letter topic that it cannot store. */
export function createDeadLetterSink({ table, clickHouse, keepsContent, spares }: DeadLetterSinkOptions): BatchSink {
  return {
    async write(batch, { token, signal }) {
      const container = new AvroContainer(containerSchema, batch.bytesUsed, spares)
      for (let row = 0; row < batch.count; row++) {
        const body = writeDeadLetter(batch, row, keepsContent)
        container.append({ partition: batch.partition, offset: batch.offset(row) }, body, 0, body.length)
      }
      await clickHouse.insertAvro({ table, body: container.finish(), token, signal })
      container.retire()
    },
  }
}
