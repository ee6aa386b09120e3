import { createHash } from 'node:crypto'
import type { ClickHouse } from '@millrace/storage/clickhouse'

const dayMs = 86_400_000
/** Days that the events lie in. */
export const days = 30
export const users = 100_000
/** The first ones more often. */
export const types = ['click', 'view', 'purchase', 'signup', 'scroll', 'search', 'share', 'login']
const rowsPerInsert = 500_000
/** An event is received at most this long after it happened. */
const delayMsMax = 5_000

/** The first day's start: a whole month, so that the table has one part, but for the few that happened just before it. */
export const startMs = Date.UTC(2026, 9, 1)

/** When event `number` of `count` was received. */
export function timeOf(number: number, count: number): number {
  return startMs + Math.floor((number / count) * days * dayMs)
}

/** The id of event `number`: in the form of a UUID, in no order. */
export function idOf(number: number): string {
  const hex = createHash('md5').update(String(number)).digest('hex')
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20]].map(([from, to]) => hex.slice(from, to)).join('-')
}

const idSql = `arrayStringConcat([substring(hex, 1, 8), substring(hex, 9, 4), substring(hex, 13, 4), substring(hex, 17, 4), substring(hex, 21)], '-')`
const pick = (texts: readonly string[], seed: number) =>
  `[${texts.map((text) => `'${text}'`).join(', ')}][1 + intHash32(number + ${seed}) % ${texts.length}]`

/** What a page in a browser sends along, some 330 bytes; a session has seven events. */
const metadataSql = `concat('{"url":"https://shop.example/products/', toString(intHash32(number + 11) % 20000), '?ref=', ${pick(['mail', 'search', 'home', 'ad'], 12)},
  '","title":"Product ', toString(intHash32(number + 11) % 20000), '","referrer":"https://www.', ${pick(['mail', 'search', 'social', 'news'], 12)},
  '.example/","session":"', lower(hex(intHash64(intDiv(number, 7)))), '","device":{"kind":"', ${pick(['phone', 'desktop', 'tablet'], 0)},
  '","os":"', ${pick(['iOS 18.1', 'Android 15', 'Windows 11', 'macOS 15.1'], 0)}, '","viewport":"', toString(300 + intHash32(intDiv(number, 7)) % 1600), 'x',
  toString(600 + intHash32(intDiv(number, 7) + 1) % 600), '"},"campaign":"autumn-', toString(intHash32(number + 13) % 40), '","language":"',
  ${pick(['de-DE', 'en-GB', 'fr-FR', 'pl-PL'], 0)}, '","duration_ms":', toString(intHash32(number + 14) % 60000), '}')`

/** Makes `count` events in ClickHouse itself, spread evenly over the days, and merges them, as after a quiet night. */
export async function storeEvents(
  clickHouse: ClickHouse,
  count: number,
  report: (line: string) => void,
): Promise<void> {
  report(`Making ${count.toLocaleString('en')} events …`)
  const columns = 'event_id, user_id, event_type, timestamp, value, metadata, received_at, source, _partition, _offset'
  for (let from = 0; from < count; from += rowsPerInsert) {
    const rows = Math.min(rowsPerInsert, count - from)
    await clickHouse.command(
      'making events',
      `INSERT INTO events (${columns})
       SELECT ${idSql}, concat('user-', toString(intHash32(number) % ${users})),
         [${types.map((type) => `'${type}'`).join(', ')}][1 + toUInt32(${types.length} * (intHash32(number + 7) % 1000 / 1000) * (intHash32(number + 77) % 1000 / 1000))],
         fromUnixTimestamp64Milli(at - toInt64(intHash32(number + 3) % ${delayMsMax})), intHash32(number + 5) % 10000 / 100, ${metadataSql},
         fromUnixTimestamp64Milli(at), 'bench', number % 4, intDiv(number, 4)
       FROM (SELECT number, lower(hex(MD5(toString(number)))) AS hex, ${startMs} + intDiv(number * ${days * dayMs}, ${count}) AS at
             FROM numbers(${from}, ${rows}))`,
    )
  }
  await clickHouse.command('merging events', 'OPTIMIZE TABLE events FINAL')
}
