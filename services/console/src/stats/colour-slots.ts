/** Which of the chart's colours each of the larger types has: type name → slot, counted from 0. */
export type ColourSlots = ReadonlyMap<string, number>

/**
 * Gives the top types their colours. A type keeps its colour for as long as it stays among the top, so that a change in the ranking
 * does not repaint the chart; a newcomer takes the lowest free one.
 */
export function assignSlots(previous: ColourSlots, topTypes: readonly string[]): ColourSlots {
  const slots = new Map<string, number>()
  const taken = new Set<number>()
  for (const eventType of topTypes) {
    const slot = previous.get(eventType)
    if (slot === undefined) continue
    slots.set(eventType, slot)
    taken.add(slot)
  }
  let free = 0
  for (const eventType of topTypes) {
    if (slots.has(eventType)) continue
    while (taken.has(free)) free += 1
    slots.set(eventType, free)
    taken.add(free)
  }
  return slots
}
