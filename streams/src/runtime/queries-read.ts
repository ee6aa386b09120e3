import type { Row } from '../state/store.ts'
import type { LocatedRows, StoreLocator } from './queries-locate.ts'
import { behind, cursorText, type Page, type PageOptions, pageLimit, readCursor } from './queries-page.ts'

/** What of a partition to read, and what to make of its rows. */
export interface PageReading<T> {
  /** The keys to read, `to` exclusive; undefined when there are none. */
  boundsOf(located: LocatedRows): Promise<{ readonly from: Buffer; readonly to: Buffer } | undefined>
  decode(row: Row): T
}

/** The next page: of the first partition that has rows behind the cursor. One read, and so one point between two commits. */
export async function readPage<T>(
  locator: StoreLocator,
  options: PageOptions,
  reading: PageReading<T>,
): Promise<Page<T>> {
  const limit = pageLimit(options)
  const cursor = options.after === undefined ? undefined : readCursor(options.after)
  const partitions = partitionsFrom(locator, options, cursor?.partition)
  for (const [index, partition] of partitions.entries()) {
    const located = locator.locate(partition, options)
    const bounds = await reading.boundsOf(located)
    if (bounds === undefined) continue
    const from = laterOf(bounds.from, partition === cursor?.partition ? cursor.key : undefined)
    const rows = await located.rows.range(from, bounds.to, limit + 1)
    const last = rows[limit - 1]
    if (rows.length > limit && last !== undefined)
      return { rows: rows.slice(0, limit).map(reading.decode), next: cursorText({ partition, key: last.key }) }
    if (rows.length === 0) continue
    const following = partitions[index + 1]
    const next = following === undefined ? undefined : cursorText({ partition: following, key: undefined })
    return { rows: rows.map(reading.decode), next }
  }
  return { rows: [], next: undefined }
}

/** The partitions still to be read. The one of the cursor is among them wherever it is by now: reading it then tells who has it. */
function partitionsFrom(locator: StoreLocator, options: PageOptions, first: number | undefined): readonly number[] {
  if (options.partition !== undefined) return [options.partition]
  const here = locator.here(options)
  if (first === undefined) return here
  return [first, ...here.filter((partition) => partition > first)]
}

function laterOf(from: Buffer, after: Buffer | undefined): Buffer {
  if (after === undefined) return from
  const next = behind(after)
  return Buffer.compare(next, from) > 0 ? next : from
}
