import { DatabaseSync } from 'node:sqlite'
import type { Broker } from '@millrace/streams'
import type { WindowTable } from './event-source.ts'
import { windowSizeMs } from './limits.ts'
import { readPlain } from './topic-log.ts'
import type { FaultEvent } from './topology.ts'

/** The totals of every window by SQL over the input, read back from its topic: the answer that does not come from this engine. */
export async function sqlTotals(
  broker: Broker,
  input: string,
): Promise<{ readonly totals: WindowTable; readonly events: number }> {
  const database = new DatabaseSync(':memory:')
  try {
    database.exec('CREATE TABLE events (type TEXT, at INTEGER, value INTEGER)')
    const insert = database.prepare('INSERT INTO events VALUES (?, ?, ?)')
    let events = 0
    database.exec('BEGIN')
    await readPlain(broker, input, ({ bytes, valueStart, valueEnd }) => {
      const event: FaultEvent = JSON.parse(bytes.toString('utf8', valueStart, valueEnd))
      insert.run(event.type, event.at, event.value)
      events++
    })
    database.exec('COMMIT')
    const rows = database
      .prepare(
        `SELECT type || '@' || (at - at % ${windowSizeMs}) AS window, count(*) AS count, sum(value) AS sum FROM events GROUP BY 1`,
      )
      .all()
    const totals = new Map(
      rows.map(({ window, count, sum }) => [String(window), { count: Number(count), sum: Number(sum) }]),
    )
    return { totals, events }
  } finally {
    database.close()
  }
}
