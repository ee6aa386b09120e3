import type { WindowTable } from './event-source.ts'
import { differencesShown, graceMs, windowSizeMs } from './limits.ts'
import type { ReadRecord } from './topic-log.ts'
import type { WindowTotals, ways } from './topology.ts'

/** What one check found. */
export interface CheckResult {
  readonly title: string
  /** What was looked at, in numbers. */
  readonly looked: string
  /** Empty when it holds. */
  readonly broken: readonly string[]
}

/** Two tables must be equal. */
export function compareTables(
  title: string,
  left: { readonly name: string; readonly table: WindowTable },
  right: { readonly name: string; readonly table: WindowTable },
): CheckResult {
  const broken: string[] = []
  for (const window of new Set([...left.table.keys(), ...right.table.keys()])) {
    const [a, b] = [left.table.get(window), right.table.get(window)]
    if (a?.count === b?.count && a?.sum === b?.sum) continue
    broken.push(`${window}: ${left.name} has ${textOf(a)}, ${right.name} ${textOf(b)}`)
  }
  return { title, looked: `${left.table.size} windows`, broken }
}

/** The last result of each window, of one way, as a table. */
export function lastResults(results: readonly (readonly ReadRecord[])[], way: (typeof ways)[number]): WindowTable {
  const table = new Map<string, WindowTotals>()
  for (const records of results) {
    for (const { key, value } of records) {
      if (key.startsWith(`${way}/`)) table.set(key.slice(way.length + 1), JSON.parse(value))
    }
  }
  return table
}

/** Within a window counts and sums never go down, as a reader sees them who reads in order. */
export function checkGrowth(title: string, results: readonly (readonly ReadRecord[])[]): CheckResult {
  const broken: string[] = []
  let records = 0
  for (const [partition, list] of results.entries()) {
    const last = new Map<string, WindowTotals>()
    for (const { offset, key, value } of list) {
      const now: WindowTotals = JSON.parse(value)
      const before = last.get(key)
      if (before !== undefined && (now.count < before.count || now.sum < before.sum)) {
        broken.push(`partition ${partition} offset ${offset}: ${key} went from ${textOf(before)} to ${textOf(now)}`)
      }
      last.set(key, now)
      records++
    }
  }
  return { title, looked: `${records} records`, broken }
}

/** A window's final result comes once, after all others, and for every window that stream time has closed. */
export function checkFinals(results: readonly (readonly ReadRecord[])[], streamTimeMs: number): CheckResult {
  const broken: string[] = []
  const finals = new Map<string, boolean>()
  for (const [partition, list] of results.entries()) {
    for (const { offset, key, value } of list) {
      const { final }: WindowTotals = JSON.parse(value)
      if (finals.get(key) === true)
        broken.push(`partition ${partition} offset ${offset}: ${key} changed after it was final`)
      finals.set(key, final)
    }
  }
  let closed = 0
  for (const [key, final] of finals) {
    const startMs = Number(key.slice(key.lastIndexOf('@') + 1))
    if (startMs + windowSizeMs + graceMs > streamTimeMs) continue
    closed++
    if (!final) broken.push(`${key} is closed and was never final`)
  }
  return { title: 'a closed window is final once, and then rests', looked: `${closed} closed windows`, broken }
}

/**
 * What a reader saw while things broke is, in the same order, what the log has in the end up to where the reader came: nothing vanished, nothing
 * came in between later, nothing came twice.
 */
export function checkLiveReader(
  seen: readonly (readonly ReadRecord[])[],
  results: readonly (readonly ReadRecord[])[],
): CheckResult {
  const broken: string[] = []
  let records = 0
  for (const [partition, list] of seen.entries()) {
    records += list.length
    compareSeen(list, results[partition] ?? [], (what) => broken.push(`partition ${partition} ${what}`))
  }
  return { title: 'what the subscriber read meanwhile is what the log holds', looked: `${records} records`, broken }
}

function compareSeen(seen: readonly ReadRecord[], there: readonly ReadRecord[], found: (what: string) => void): void {
  let at = 0
  let last = -1
  for (const { offset, key, value } of seen) {
    const what = `offset ${offset}: ${key} ${value}`
    if (offset <= last) {
      found(`${what} was read after offset ${last}`)
      continue
    }
    last = offset
    for (; (there[at]?.offset ?? offset) < offset; at++) {
      found(`offset ${there[at]?.offset}: ${there[at]?.key} is there and was passed over by the reader`)
    }
    const same = there[at]
    if (same?.offset !== offset) {
      found(`${what} was read and is gone`)
      continue
    }
    if (same.key !== key || same.value !== value) found(`${what} was read and is ${same.key} ${same.value}`)
    at++
  }
}

/** One line that says whether it holds, and the first differences when it does not. */
export function checkText({ title, looked, broken }: CheckResult): string {
  const lines = [`  ${broken.length === 0 ? 'holds ' : 'BROKEN'}  ${title} (${looked})`]
  for (const difference of broken.slice(0, differencesShown)) lines.push(`            ${difference}`)
  if (broken.length > differencesShown) lines.push(`            … ${broken.length} in all`)
  return lines.join('\n')
}

function textOf(totals: { readonly count: number; readonly sum: number } | undefined): string {
  return totals === undefined ? 'nothing' : `count ${totals.count} sum ${totals.sum}`
}
