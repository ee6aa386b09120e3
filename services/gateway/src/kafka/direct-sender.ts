import type { Producer } from '@millrace/streams'
import type { RecordSender } from './ports.ts'

/** Sends to Kafka and nowhere else, with an idempotent producer and acks=all. Throws what `Producer.send` throws. */
export function directSender(producer: Pick<Producer, 'send'>): RecordSender {
  return {
    async send(records) {
      await producer.send(records)
      return 'kafka'
    },
  }
}
