import { join } from 'node:path'
import { startServersAlone } from '@millrace/local/servers'
import type { BenchContext } from '../bench.ts'
import { BenchError } from '../bench-error.ts'

/** The servers that the gateway is measured with. */
export interface GatewayServers {
  /** What the gateway reads from its environment. */
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly brokerAddress: string
  readonly stop: () => Promise<void>
}

/** Servers of our own, or, with `--broker`, those that the environment names. */
export async function gatewayServers(context: BenchContext): Promise<GatewayServers> {
  const { command, scratch, environment, report, signal } = context
  if (command.broker !== undefined) {
    if (environment.MILLRACE_KAFKA_BROKERS !== command.broker) {
      const why = 'the gateway needs a registry and databases as well'
      throw new BenchError(
        `--broker must be the one that MILLRACE_KAFKA_BROKERS names, beside the other MILLRACE_ variables: ${why}.`,
      )
    }
    return { variables: environment, brokerAddress: command.broker, stop: async () => {} }
  }
  const { variables, stop } = await startServersAlone({ folder: join(scratch, 'servers'), environment, report, signal })
  return { variables, brokerAddress: variables.MILLRACE_KAFKA_BROKERS ?? '', stop }
}
