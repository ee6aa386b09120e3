import type { FoundItems } from './found-records.ts'

/** What the checks are shown: without a sabotage what there is, else without the first event, or with it behind the next one of its user. */
export function sabotaged(found: FoundItems, sabotage: string | undefined): FoundItems {
  const [first, ...rest] = found.events
  if (first === undefined) return found
  if (sabotage === 'drop-record') return { ...found, events: rest }
  const next = rest.findIndex(({ client }) => client === first.client)
  if (sabotage !== 'swap-records' || next < 0) return found
  const [second] = rest.splice(next, 1)
  return { ...found, events: second === undefined ? rest : [second, first, ...rest] }
}
