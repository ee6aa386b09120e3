/** A table's row has changed: what the nodes of tables hand on. */
export interface Change<V> {
  /** The row's value from now on; null when it was deleted, if V has null. */
  readonly value: V
  /** The value that was handed on before, null when there was none; known only where something that follows asked for it. */
  readonly old?: V | null | undefined
  /** A window's result that will not change any more. */
  readonly final: boolean
}

/**
 * When a table hands on its rows' changes. `every-update`: at each update. `updates`: the last one of each row, at the commit. `close`: a
 * window's result, once, when it is closed. `updates-and-close`: both; a row that closes in a commit is handed on once, as final.
 */
export const emitModes = ['every-update', 'updates', 'close', 'updates-and-close'] as const
export type EmitMode = (typeof emitModes)[number]
