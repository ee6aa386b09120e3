import type { ClickHouse } from '@millrace/storage/clickhouse'
import { type Connection, createConnection } from 'mysql2/promise'
import { FaultError } from '../fault-error.ts'
import type { StoredEvents, StoredLeads, StoredPartition } from './checks.ts'
import type { SinkKind } from './fault-plan.ts'

/** A question that is not answered within this time is not answered. */
const answerDeadlineMs = 5_000

/** Asks the databases themselves what they hold, past the relays. */
export class Stored {
  readonly #clickHouse: ClickHouse
  readonly #variables: Readonly<Record<string, string>>

  constructor(clickHouse: ClickHouse, variables: Readonly<Record<string, string>>) {
    this.#clickHouse = clickHouse
    this.#variables = variables
  }

  /**
   * Makes `events` anew, as it is but with an engine that never merges duplicates away: the one of the product would hide with time what a sink stored twice. Its
   * other settings stay, the window of tokens before all.
   */
  async keepDuplicates(): Promise<void> {
    const run = (sql: string) => this.#clickHouse.command('making events anew', sql)
    const [table] = await this.#clickHouse.query('reading the table', {
      sql: "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'events'",
    })
    const engine = String(table?.engine_full)
    const keeping = engine.replace(/^ReplacingMergeTree(\([^)]*\))?/, 'MergeTree')
    if (keeping === engine) throw new FaultError(`the engine of events is not the one that is expected: ${engine}`)
    await run('RENAME TABLE events TO events_as_migrated')
    await run(`CREATE TABLE events AS events_as_migrated ENGINE = ${keeping}`)
  }

  async answers(kind: SinkKind): Promise<boolean> {
    try {
      if (kind === 'clickhouse') await this.#clickHouse.ping()
      else await this.#ask('SELECT 1')
      return true
    } catch {
      // It is away, which is what was asked.
      return false
    }
  }

  async eventRows(): Promise<number> {
    const rows = await this.#clickHouse.query('counting', { sql: 'SELECT count() AS found FROM events' })
    return Number(rows[0]?.found)
  }

  async leadRows(): Promise<number> {
    return Number((await this.#ask('SELECT count(*) AS found FROM leads'))[0]?.found)
  }

  async events(): Promise<StoredEvents> {
    const [all] = await this.#clickHouse.query('counting', {
      sql: `SELECT count() AS found, uniqExact(event_id) AS ids, sum(value) AS total, sum(length(metadata)) AS bytes
            FROM events`,
    })
    const partitions = await this.#clickHouse.query('counting', {
      sql: `SELECT _partition AS number, count() AS found, uniqExact(_offset) AS offsets, min(_offset) AS first, max(_offset) AS last
            FROM events GROUP BY number`,
    })
    return {
      rows: Number(all?.found),
      ids: Number(all?.ids),
      values: Number(all?.total),
      metadataBytes: Number(all?.bytes),
      partitions: partitions.map(partitionOf),
    }
  }

  async leads(): Promise<StoredLeads> {
    const [all] = await this.#ask('SELECT count(*) AS found, count(DISTINCT lead_id) AS ids FROM leads')
    const partitions = await this.#ask(
      `SELECT source_partition AS number, count(*) AS found, count(DISTINCT source_offset) AS offsets,
         min(source_offset) AS first, max(source_offset) AS last FROM leads GROUP BY source_partition`,
    )
    const offsets = await this.#ask(
      "SELECT partition_number AS number, next_offset AS next FROM sink_offsets WHERE topic = 'leads'",
    )
    return {
      rows: Number(all?.found),
      ids: Number(all?.ids),
      nextOffsets: new Map(offsets.map((row) => [Number(row.number), Number(row.next)])),
      partitions: partitions.map(partitionOf),
      duplicates: new Map(
        (await this.#ask('SELECT lead_id AS id, duplicate_of AS first FROM leads')).map(({ id, first }) => [
          String(id),
          first === null ? null : String(first),
        ]),
      ),
      history: await this.#history(),
    }
  }

  async #history(): Promise<StoredLeads['history']> {
    // As it is read back: the steps that were noted, and those that the rows tell.
    const steps = `SELECT lead_id, at, status FROM lead_history
      UNION SELECT lead_id, received_at, 'received' FROM leads UNION SELECT lead_id, stored_at, 'stored' FROM leads`
    const rows = await this.#ask(
      `SELECT status, count(*) AS found, count(DISTINCT lead_id) AS leads FROM (${steps}) AS steps GROUP BY status`,
    )
    return new Map(
      rows.map(({ status, found, leads }) => [String(status), { rows: Number(found), leads: Number(leads) }]),
    )
  }

  /** Of each user, the number of events. */
  async eventsByUser(): Promise<ReadonlyMap<string, number>> {
    const sql = 'SELECT user_id AS user, count() AS found FROM events GROUP BY user'
    const rows = await this.#clickHouse.query('counting', { sql })
    return new Map(rows.map(({ user, found }) => [String(user), Number(found)]))
  }

  /** Takes one event away, as if it had never been stored: for a run that must notice. */
  async loseEvent(): Promise<void> {
    const sql = `ALTER TABLE events DELETE WHERE (_partition, _offset) = (0, 0) SETTINGS mutations_sync = 1`
    await this.#clickHouse.command('losing an event', sql)
  }

  /** The same with a lead. */
  async loseLead(): Promise<void> {
    await this.#ask('DELETE FROM leads ORDER BY lead_id LIMIT 1')
  }

  async #ask(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { MILLRACE_MYSQL_HOST: host = '127.0.0.1', MILLRACE_MYSQL_PORT, ...rest } = this.#variables
    const { MILLRACE_MYSQL_USER: user = '', MILLRACE_MYSQL_PASSWORD: password = '', MILLRACE_MYSQL_DATABASE } = rest
    let connection: Connection | undefined
    try {
      connection = await createConnection({
        host,
        port: Number(MILLRACE_MYSQL_PORT),
        user,
        password,
        database: MILLRACE_MYSQL_DATABASE ?? '',
        connectTimeout: answerDeadlineMs,
      })
      const [rows] = await connection.query(sql)
      return Array.isArray(rows) ? rows.map((row) => ({ ...row })) : []
    } finally {
      connection?.destroy()
    }
  }
}

function partitionOf(row: Readonly<Record<string, unknown>>): StoredPartition {
  return {
    partition: Number(row.number),
    rows: Number(row.found),
    offsets: Number(row.offsets),
    first: Number(row.first),
    last: Number(row.last),
  }
}
