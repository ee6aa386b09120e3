import { Counter, Gauge, type Registry } from '@millrace/kit'
import type { SpillLog } from './spill-log.ts'
import type { SpillingSender } from './spilling-sender.ts'

/** What the spill log counts, in records. */
export interface SpillCounts {
  spilled(records: number): void
  replayed(records: number): void
  /** Found in Kafka by the replay, although nobody had said that they are there. */
  landed(records: number): void
}

/** Makes the counters. */
export function createSpillCounts(registry: Registry): SpillCounts {
  const records = new Counter({
    name: 'millrace_gateway_spill_records_total',
    help: 'Records by what became of them: spilled to the log, replayed to Kafka, or found there already',
    labelNames: ['result'],
    registers: [registry],
  })
  return {
    spilled: (count) => records.inc({ result: 'spilled' }, count),
    replayed: (count) => records.inc({ result: 'replayed' }, count),
    landed: (count) => records.inc({ result: 'landed' }, count),
  }
}

/** Registers how full the log is. */
export function registerSpillGauges(
  registry: Registry,
  { log, sender }: { readonly log: SpillLog; readonly sender: SpillingSender },
): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `millrace_gateway_spill_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  gauge('bytes', 'Bytes of the spill log on the disk', () => log.bytes)
  gauge('bytes_max', 'The bound of the spill log', () => log.bytesMax)
  gauge('requests', 'Requests in the spill log that are not in Kafka yet', () => log.entries)
  gauge('active', '1 while requests go to the spill log', () => (sender.state === 'direct' ? 0 : 1))
  gauge('lost_requests', 'Requests that were damaged on the disk, found at the start', () => log.lost)
}
