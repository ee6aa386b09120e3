import { GatewayError } from '../errors.ts'

/** Lets so many through per window, whoever they are. */
export interface LoginBudget {
  /** Counts one. Throws `RATE_LIMITED` when the window is used up. */
  take(): void
}

/** Makes a budget that nothing was taken from. */
export function createLoginBudget(
  bounds: { readonly max: number; readonly windowMs: number },
  nowMs: () => number,
): LoginBudget {
  let taken = 0
  let windowEndsMs = 0
  return {
    take() {
      const now = nowMs()
      if (now >= windowEndsMs) {
        taken = 0
        windowEndsMs = now + bounds.windowMs
      }
      if (taken >= bounds.max) {
        throw new GatewayError('RATE_LIMITED', 'There are more logins than are served: wait before the next one.', {
          retryAfterSeconds: Math.max(1, Math.ceil((windowEndsMs - now) / 1_000)),
        })
      }
      taken++
    },
  }
}
