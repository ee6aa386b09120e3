import { Random } from '../random.ts'
import { awayMs } from './limits.ts'

/** How the broker goes away: it dies and starts again with its data, or stands still with its connections open, and then does what it was asked. */
export const brokerFaults = ['killed', 'paused'] as const
export type BrokerFault = (typeof brokerFaults)[number]

/** What becomes of the gateway meanwhile. `killed-in-replay` hits when the broker is back and the log is on its way to it. */
export const gatewayFates = ['stays', 'killed', 'restarted', 'killed-in-replay'] as const
export type GatewayFate = (typeof gatewayFates)[number]

/** One outage. */
export interface Outage {
  readonly broker: BrokerFault
  readonly awayMs: number
  readonly gateway: GatewayFate
}

/** An outage with its moments. */
export interface PlannedOutage extends Outage {
  /** When the gateway's fate comes, in milliseconds after the first answer from the log. */
  readonly fateMs: number
}

const { long, short, quick } = awayMs

const quickOutages: readonly Outage[] = [
  { broker: 'killed', awayMs: quick, gateway: 'stays' },
  { broker: 'paused', awayMs: quick, gateway: 'stays' },
  { broker: 'killed', awayMs: quick, gateway: 'killed' },
  { broker: 'paused', awayMs: quick, gateway: 'killed-in-replay' },
]

const allOutages: readonly Outage[] = [
  { broker: 'killed', awayMs: long, gateway: 'stays' },
  { broker: 'paused', awayMs: long, gateway: 'stays' },
  { broker: 'killed', awayMs: short, gateway: 'killed' },
  { broker: 'paused', awayMs: short, gateway: 'killed' },
  { broker: 'killed', awayMs: short, gateway: 'killed-in-replay' },
  { broker: 'paused', awayMs: short, gateway: 'killed-in-replay' },
  { broker: 'killed', awayMs: short, gateway: 'restarted' },
]

/** The outages of a run, in an order and with moments that the seed decides. */
export function planOutages(seed: number, isQuick: boolean): readonly PlannedOutage[] {
  const random = new Random(seed)
  return random
    .shuffled(isQuick ? quickOutages : allOutages)
    .map((outage) => ({ ...outage, fateMs: random.int(0, outage.awayMs / 2) }))
}
