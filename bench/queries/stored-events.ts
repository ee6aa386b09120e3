import type { ClickHouse } from '@millrace/storage/clickhouse'

const dayMs = 86_400_000
/** Days that the events lie in. */
export const days = 30
export const users = 100_000
/** The first ones more often. */
export const types = ['click', 'view', 'purchase', 'signup', 'scroll', 'search', 'share', 'login']
const rowsPerInsert = 500_000

/** The first day's start: a whole month, so that the table has one part. */
export const startMs = Date.UTC(2026, 9, 1)

/** When event `number` of `count` happened. */
export function timeOf(number: number, count: number): number {
  return startMs + Math.floor((number / count) * days * dayMs)
}

/** The id of event `number`. */
export function idOf(number: number): string {
  return `event-${number}`
}

/** Makes `count` events in ClickHouse itself, spread evenly over the days, and merges them into one part, as after a quiet night. */
export async function storeEvents(
  clickHouse: ClickHouse,
  count: number,
  report: (line: string) => void,
): Promise<void> {
  report(`Making ${count.toLocaleString('en')} events …`)
  const typeList = types.map((type) => `'${type}'`).join(', ')
  for (let from = 0; from < count; from += rowsPerInsert) {
    const rows = Math.min(rowsPerInsert, count - from)
    await clickHouse.command(
      'making events',
      `INSERT INTO events (event_id, user_id, event_type, timestamp, value, metadata, received_at, source, _partition, _offset)
       SELECT concat('event-', toString(number)), concat('user-', toString(intHash32(number) % ${users})),
         [${typeList}][1 + toUInt32(${types.length} * (intHash32(number + 7) % 1000 / 1000) * (intHash32(number + 77) % 1000 / 1000))],
         fromUnixTimestamp64Milli(${startMs} + intDiv(number * ${days * dayMs}, ${count})), intHash32(number + 5) % 10000 / 100,
         concat('{"page":"/pricing","session":"', lower(hex(intHash64(number))), '","value":', toString(intHash32(number + 5) % 10000 / 100), '}'),
         fromUnixTimestamp64Milli(${startMs} + intDiv(number * ${days * dayMs}, ${count})), 'bench', number % 4, intDiv(number, 4)
       FROM numbers(${from}, ${rows})`,
    )
  }
  await clickHouse.command('merging events', 'OPTIMIZE TABLE events FINAL')
}
