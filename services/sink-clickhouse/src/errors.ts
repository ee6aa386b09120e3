/** Why a record cannot be stored, as its dead letter says it. */
export const poisonCodes = ['NOT_FRAMED', 'UNKNOWN_SCHEMA', 'INCOMPATIBLE', 'UNDECODABLE', 'OUT_OF_RANGE'] as const
export type PoisonCode = (typeof poisonCodes)[number]

/** A record that can never be stored. A value, not thrown: one bad record is no failure of the sink. */
export interface Poison {
  readonly code: PoisonCode
  /** A sentence without any of the record's content. */
  readonly message: string
}
