/** The CSS class that carries the colour of a slot; null is "other". The colours themselves are custom properties of style.css. */
export function slotClass(slot: number | null): string {
  return slot === null ? 'slot-other' : `slot-${slot}`
}

/** The custom property with the colour of a slot, for the canvas. */
export function slotProperty(slot: number | null): string {
  return slot === null ? '--slot-other' : `--slot-${slot}`
}
