import type { Row } from './jvm-program.ts'
import { stores, type Visit } from './visit-topology.ts'

/** The rows that the visits amount to, reckoned apart from either engine, by store, key and window; without those whose retention is over. */
export function rowsOf(visits: readonly Visit[]): readonly Row[] {
  const rows = new Map<string, Row>()
  for (const visit of visits) {
    for (const { store, windows } of stores) {
      if (windows === undefined) addTo(rows, { store, key: keyIn(store, visit), startMs: -1, visit })
      else {
        for (let startMs = 0; startMs < windows.sizeMs; startMs += windows.advanceMs) {
          const last = visit.atMs - (visit.atMs % windows.advanceMs)
          if (last - startMs + windows.sizeMs > visit.atMs)
            addTo(rows, { store, key: visit.page, startMs: last - startMs, visit })
        }
      }
    }
  }
  return sorted(kept([...rows.values()], visits))
}

/** The rows whose retention is not over after the visits. A changelog may have others, for as long as the broker keeps them. */
export function kept(rows: readonly Row[], visits: readonly Visit[]): readonly Row[] {
  const nowMs = Math.max(...visits.map(({ atMs }) => atMs))
  const retentions = new Map(stores.map(({ store, windows }) => [store, windows?.retentionMs]))
  return rows.filter(({ store, startMs }) => startMs > nowMs - (retentions.get(store) ?? Number.POSITIVE_INFINITY))
}

/** By store, key and window. */
export function sorted(rows: readonly Row[]): readonly Row[] {
  return rows
    .map((row) => ({ row, name: nameOf(row) }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map(({ row }) => row)
}

function addTo(rows: Map<string, Row>, of: Omit<Row, 'value' | 'timestamp'> & { readonly visit: Visit }): void {
  const { visit, ...place } = of
  const name = nameOf(place)
  const before = rows.get(name)
  const value = (before?.value ?? 0) + shareOf(visit, of.store)
  if (of.store === 'present' && value === 0) rows.delete(name)
  else rows.set(name, { ...place, value, timestamp: Math.max(before?.timestamp ?? -1, visit.atMs) })
}

function keyIn(store: string, visit: Visit): string {
  return store === 'visits-per-user' ? visit.user : visit.page
}

function shareOf(visit: Visit, store: string): number {
  if (store === 'amount-per-minute') return visit.amount
  if (store === 'present') return visit.kind === 'in' ? 1 : -1
  return 1
}

function nameOf({ store, key, startMs }: Pick<Row, 'store' | 'key' | 'startMs'>): string {
  return `${store} ${key} ${startMs}`
}
