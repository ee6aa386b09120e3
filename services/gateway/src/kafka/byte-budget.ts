import { GatewayError } from '../errors.ts'

/** Bounds what waits for Kafka's acknowledgement, over all writers of the process. */
export interface ByteBudget {
  /** Takes `bytes`, or throws `OVERLOADED`. What is larger than the whole budget goes through when nothing else waits. */
  take(bytes: number): void
  give(bytes: number): void
  readonly taken: number
}

/** Makes a budget of `bytesMax`. */
export function createByteBudget(bytesMax: number): ByteBudget {
  let taken = 0
  return {
    take(bytes) {
      if (taken > 0 && taken + bytes > bytesMax) {
        const detail = 'Too many records wait for Kafka: send this again a little later. Nothing of it was taken.'
        throw new GatewayError('OVERLOADED', detail, { retryAfterSeconds: 1 })
      }
      taken += bytes
    },
    give(bytes) {
      taken -= bytes
    },
    get taken() {
      return taken
    },
  }
}
