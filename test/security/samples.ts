/** An event without faults. */
export const event = {
  event_id: 'e-1',
  user_id: 'u-1',
  event_type: 'view',
  timestamp: 1_700_000_000,
  metadata: { value: 1 },
}

/** A lead without faults. */
export const lead = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' }

/** A lead's JSON with other text in place of its attributes' value. */
export function leadWith(attributes: string): string {
  return `${JSON.stringify(lead).slice(0, -1)},"attributes":${attributes}}`
}

/** An event's JSON with other text in place of its metadata's value. */
export function eventWith(metadata: string): string {
  return JSON.stringify(event).replace('{"value":1}', () => metadata)
}
