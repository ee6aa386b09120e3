import type { Named } from './stream.ts'

/** How the rows of a table are kept and handed on. */
export interface Materialized extends Named {
  /** The store's name, by which it can be queried and its topics are called; generated when absent. */
  readonly store?: string
  /** Default true: kept in a changelog topic, from which it is restored. */
  readonly changelog?: boolean
}

/** A store's or repartition's name with the version of the bytes in it; version 1 goes without saying. */
export function versioned(name: string, aggregator: { readonly version: number }): string {
  return aggregator.version === 1 ? name : `${name}-v${aggregator.version}`
}
