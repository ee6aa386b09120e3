import { join } from 'node:path'
import { startKafkaAlone } from '@millrace/local/kafka'
import type { BenchContext } from './bench.ts'

/** The Kafka that a bench measures with. */
export interface BenchBroker {
  /** As `host:port`. */
  readonly address: string
  /** Whether it was started for this bench. */
  readonly isOurs: boolean
  readonly stop: () => Promise<void>
}

/** The broker that was asked for, or one of our own on free ports with empty data. */
export async function benchBroker({
  command,
  scratch,
  environment,
  report,
  signal,
}: BenchContext): Promise<BenchBroker> {
  if (command.broker !== undefined) return { address: command.broker, isOurs: false, stop: async () => {} }
  const folder = join(scratch, 'kafka')
  const { address, stop } = await startKafkaAlone({ folder, environment, report, signal })
  return { address, isOurs: true, stop }
}
