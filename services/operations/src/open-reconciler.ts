import type { Registry } from '@millrace/schemas'
import {
  type ClickHouse,
  createReconciliationRepository as createEventReconciliation,
} from '@millrace/storage/clickhouse'
import { createReconciliationRepository, createSinkOffsetRepository, type Mysql } from '@millrace/storage/mysql'
import type { Broker } from '@millrace/streams'
import { type ConsumerNames, consumersOf } from './consumers.ts'
import { createEventsSide } from './reconciliation/events-side.ts'
import { createApiLogsSide, createLeadsSide } from './reconciliation/mysql-sides.ts'
import { createReconciler, type Reconciler } from './reconciliation/reconciler.ts'

/** What reconciliation speaks to. */
export interface OpenReconcilerParts {
  readonly broker: Broker
  readonly registry: Registry
  readonly clickHouse: ClickHouse
  readonly mysql: Mysql
  readonly names: ConsumerNames
  readonly nowMs: () => number
}

/** A reconciler of all topics that are stored record by record. Asks the registry for the schema of events. */
export async function openReconciler(parts: OpenReconcilerParts): Promise<Reconciler> {
  const { broker, registry, names } = parts
  const clickHouse = createEventReconciliation(parts.clickHouse)
  const mysql = createReconciliationRepository(parts.mysql)
  const consumers = consumersOf({ broker, sinkOffsets: createSinkOffsetRepository(parts.mysql), names })
  const positions = (group: string) => {
    const consumer = consumers.find((of) => of.group === group)
    if (consumer === undefined) throw new Error(`nobody reads as ${group}`)
    return consumer.positions
  }
  const inMysql = { mysql, deadLetters: clickHouse }
  return createReconciler({
    broker,
    sides: [
      createEventsSide({
        clickHouse,
        codec: await registry.codecFor('events', 'event'),
        registry,
        committed: positions(`${names.sinkClickHouse}-events`),
      }),
      createLeadsSide({ ...inMysql, committed: positions(`${names.sinkMysql}-leads`) }),
      createApiLogsSide({ ...inMysql, committed: positions(`${names.sinkMysql}-api-logs`) }),
    ],
    acknowledged: mysql,
    processed: positions(names.processor),
    nowMs: parts.nowMs,
  })
}
