import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { formatCount, formatRate, formatShare, formatValue } from '../format/numbers.ts'
import { tableRowsMax } from '../limits.ts'
import type { LiveView } from '../live/live-view.ts'
import { type SortColumn, type SortOrder, sortTotals, type TypeTotals } from '../stats/type-totals.ts'
import { slotClass } from './slot-class.ts'

/** What the table needs. */
export interface TypeTableProps {
  readonly view: LiveView
  readonly onShowType: (eventType: string | null) => void
}

/** Every type with its numbers in the shown range; a click on its name shows it alone. */
export function TypeTable({ view, onShowType }: TypeTableProps): VNode {
  const [order, setOrder] = useState<SortOrder>({ column: 'count', descending: true })
  const [showAll, setShowAll] = useState(false)
  const rows = sortTotals(view.totals, order)
  const chosen = view.settings.eventType
  // A chosen type is shown wherever it ranks: it is what the person looks at.
  const shown = rows.filter((row, index) => showAll || index < tableRowsMax || row.eventType === chosen)

  return (
    <section class="card table-card" aria-labelledby="types-title">
      <div class="card-head">
        <h2 id="types-title">Event types</h2>
        <p class="muted">{summary(view)}</p>
      </div>
      <div class="table-scroll">
        <table>
          <thead>
            <tr>
              {columns.map(({ column, name }) => (
                <th key={column} scope="col" aria-sort={sortWord(order, column)} class={`column-${column}`}>
                  <button type="button" onClick={() => setOrder(nextOrder(order, column))}>
                    {name}
                    {order.column === column && (
                      <span class="sort-mark" aria-hidden="true">
                        {order.descending ? '↓' : '↑'}
                      </span>
                    )}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <TypeRow
                key={row.eventType}
                row={row}
                slotName={slotClass(view.slots.get(row.eventType) ?? null)}
                chosen={chosen === row.eventType}
                onShowType={onShowType}
              />
            ))}
          </tbody>
        </table>
      </div>
      {rows.length === 0 && <p class="muted table-empty">No events in the shown range.</p>}
      {rows.length > tableRowsMax && (
        <button class="button button-small" type="button" aria-expanded={showAll} onClick={() => setShowAll(!showAll)}>
          {showAll ? `Show the first ${tableRowsMax}` : `Show all ${formatCount(rows.length)}`}
        </button>
      )}
    </section>
  )
}

interface TypeRowProps {
  readonly row: TypeTotals
  readonly slotName: string
  readonly chosen: boolean
  readonly onShowType: (eventType: string | null) => void
}

function TypeRow({ row, slotName, chosen, onShowType }: TypeRowProps): VNode {
  return (
    <tr class={chosen ? 'chosen' : ''}>
      <th scope="row">
        <button
          class="type-name"
          type="button"
          aria-pressed={chosen}
          title={chosen ? 'Show all types' : `Show ${row.eventType} alone`}
          onClick={() => onShowType(chosen ? null : row.eventType)}
        >
          <span class={`swatch ${slotName}`} aria-hidden="true" />
          <span class="type-name-text">{row.eventType}</span>
        </button>
      </th>
      <td class="count-cell" title={`${formatShare(row.share)} of all events shown`}>
        <span class={`share-bar ${slotName}`} style={{ width: `${row.share * 100}%` }} aria-hidden="true" />
        {formatCount(row.count)}
      </td>
      <td>{formatRate(row.ratePerS)}</td>
      <td>{formatValue(row.average)}</td>
      <td>{formatValue(row.min)}</td>
      <td>{formatValue(row.max)}</td>
    </tr>
  )
}

const columns: readonly { column: SortColumn; name: string }[] = [
  { column: 'eventType', name: 'Type' },
  { column: 'count', name: 'Events' },
  { column: 'ratePerS', name: 'Per second' },
  { column: 'average', name: 'Average' },
  { column: 'min', name: 'Min' },
  { column: 'max', name: 'Max' },
]

function nextOrder(order: SortOrder, column: SortColumn): SortOrder {
  if (order.column === column) return { column, descending: !order.descending }
  return { column, descending: column !== 'eventType' }
}

function sortWord(order: SortOrder, column: SortColumn): 'ascending' | 'descending' | 'none' {
  if (order.column !== column) return 'none'
  return order.descending ? 'descending' : 'ascending'
}

function summary({ totals }: LiveView): string {
  let count = 0
  for (const row of totals) count += row.count
  return `${formatCount(count)} events in the shown range`
}
