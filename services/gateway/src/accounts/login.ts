import { parseRole, type Role, verifyPassword } from '@millrace/storage/accounts'
import { GatewayError } from '../errors.ts'
import { passwordChecksConcurrentMax, passwordChecksWaitingMax } from '../limits.ts'
import { LoginAttempts } from './login-attempts.ts'
import type { Account, AccountStore } from './ports.ts'
import { createTurnstile } from './turnstile.ts'

/** Who logged in. */
export interface LoggedIn {
  readonly id: string
  readonly username: string
  readonly role: Role
}

/** Checks usernames and passwords. */
export interface Login {
  /**
   * Throws `INVALID_CREDENTIALS`, the same and after the same work whether the account is unknown, disabled or the password is wrong;
   * `TOO_MANY_ATTEMPTS`; `OVERLOADED`; and what the store throws.
   */
  check(username: string, password: string): Promise<LoggedIn>
}

/**
 * The hash of a random password that nobody knows, checked in place of the one that an unknown account has not: so that the answer takes
 * as long. Its settings must be those of `hashPassword`.
 */
const nobodysHash = '$argon2id$v=19$m=19456,t=2,p=1$bWlsbHJhY2Utbm9ib2R5IQ$4EhCV6lW5y5Ez3s0kG1HqMSGr8cJtQyG2mXoUe4mT2k'

/** Makes the login over the store of accounts. */
export function createLogin(accounts: AccountStore, nowMs: () => number): Login {
  const attempts = new LoginAttempts(nowMs)
  const turnstile = createTurnstile({
    concurrentMax: passwordChecksConcurrentMax,
    waitingMax: passwordChecksWaitingMax,
  })

  async function isRight(account: Account | undefined, password: string): Promise<boolean> {
    const matches = await turnstile.pass(() => verifyPassword(password, account?.passwordHash ?? nobodysHash))
    return matches && account !== undefined && !account.disabled
  }

  return {
    async check(username, password) {
      attempts.begin(username)
      let account: Account | undefined
      let right = false
      try {
        account = await accounts.findByUsername(username)
        right = await isRight(account, password)
      } catch (error) {
        attempts.undone(username)
        throw error
      }
      const role = parseRole(account?.role)
      if (!right || account === undefined || role === undefined) {
        throw new GatewayError('INVALID_CREDENTIALS', 'The username or the password is wrong.')
      }
      attempts.succeeded(username)
      return { id: account.id, username: account.username, role }
    },
  }
}
