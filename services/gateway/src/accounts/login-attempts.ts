import { GatewayError } from '../errors.ts'
import { loginAccountsMax, loginFailuresMax, loginWindowMs } from '../limits.ts'

interface Failures {
  count: number
  windowEndMs: number
}

/** Counts failed logins per account, whether the account exists or not, so that the answer gives nothing away. */
export class LoginAttempts {
  readonly #nowMs: () => number
  /** In the order of the last failure: the first is the one to be forgotten. */
  readonly #failures = new Map<string, Failures>()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Counts an attempt ahead of its check, so that attempts made side by side count too. Throws `TOO_MANY_ATTEMPTS`. */
  begin(username: string): void {
    const key = username.toLowerCase()
    const nowMs = this.#nowMs()
    const known = this.#failures.get(key)
    const current =
      known !== undefined && known.windowEndMs > nowMs ? known : { count: 0, windowEndMs: nowMs + loginWindowMs }
    if (current.count >= loginFailuresMax) {
      const detail = `There were ${loginFailuresMax} failed logins for this account: wait before the next one.`
      const retryAfterSeconds = Math.max(1, Math.ceil((current.windowEndMs - nowMs) / 1_000))
      throw new GatewayError('TOO_MANY_ATTEMPTS', detail, { retryAfterSeconds })
    }
    current.count++
    this.#failures.delete(key)
    this.#failures.set(key, current)
    if (this.#failures.size > loginAccountsMax) {
      const oldest = this.#failures.keys().next()
      if (oldest.done !== true) this.#failures.delete(oldest.value)
    }
  }

  /** The attempt was no guess: the account starts with none again. */
  succeeded(username: string): void {
    this.#failures.delete(username.toLowerCase())
  }

  /** The attempt could not be checked: it does not count. */
  undone(username: string): void {
    const failures = this.#failures.get(username.toLowerCase())
    if (failures !== undefined && failures.count > 0) failures.count--
  }
}
