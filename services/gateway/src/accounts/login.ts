import { createHmac } from 'node:crypto'
import { parseRole, type Role, verifyPassword } from '@millrace/storage/accounts'
import { GatewayError } from '../errors.ts'
import {
  loginFailuresMax,
  loginsOfAllPerMinuteMax,
  loginWindowMs,
  passwordChecksConcurrentMax,
  passwordChecksWaitingMax,
} from '../limits.ts'
import { createLoginBudget } from './login-budget.ts'
import type { Account, AccountStores } from './ports.ts'
import { createTurnstile } from './turnstile.ts'

/** Who logged in. */
export interface LoggedIn {
  readonly id: string
  readonly username: string
  readonly role: Role
}

/** Someone who wants to. */
export interface LoginRequest {
  readonly username: string
  readonly password: string
  readonly requestId: string
}

/** Checks usernames and passwords. */
export interface Login {
  /**
   * Throws `INVALID_CREDENTIALS`, the same and after the same work whether the account is unknown, disabled or the password is wrong;
   * `TOO_MANY_ATTEMPTS` for the account; `RATE_LIMITED` and `OVERLOADED` for all together; and what the stores throw.
   */
  check(request: LoginRequest): Promise<LoggedIn>
}

/** What the login is made of. */
export interface LoginDeps extends Pick<AccountStores, 'users' | 'attempts' | 'audit'> {
  /** Keys the hashes of names under which attempts are counted. */
  readonly secret: string
  readonly nowMs: () => number
  /** An entry of the audit log that could not be written: the answer is what it would have been. */
  readonly onAuditFailure: (error: unknown) => void
  readonly verify?: typeof verifyPassword
}

/**
 * The hash of a random password that nobody knows, checked in place of the one that an unknown account has not: so that the answer takes
 * as long. Its settings must be those of `hashPassword`.
 */
const nobodysHash = '$argon2id$v=19$m=19456,t=2,p=1$bWlsbHJhY2Utbm9ib2R5IQ$4EhCV6lW5y5Ez3s0kG1HqMSGr8cJtQyG2mXoUe4mT2k'

/** Makes the login over the stores. */
export function createLogin(deps: LoginDeps): Login {
  const { users, attempts, audit, nowMs, verify = verifyPassword } = deps
  const budget = createLoginBudget({ max: loginsOfAllPerMinuteMax, windowMs: 60_000 }, nowMs)
  const turnstile = createTurnstile({
    concurrentMax: passwordChecksConcurrentMax,
    waitingMax: passwordChecksWaitingMax,
  })

  /**
   * Attempts count for the account where there is one: the store may find one account by many names, "admin" by "Ádmin", and each would
   * have attempts of its own.
   */
  function countedName(account: Account | undefined, username: string): string {
    const name = account === undefined ? `name ${username.normalize('NFKC').toLowerCase()}` : `id ${account.id}`
    return createHmac('sha256', deps.secret).update(`login attempts of ${name}`).digest('hex')
  }

  async function isRight(account: Account | undefined, password: string): Promise<boolean> {
    const matches = await turnstile.pass(() => verify(password, account?.passwordHash ?? nobodysHash))
    return matches && account !== undefined && !account.disabled
  }

  async function note(
    action: 'authn_login_fail' | 'authn_login_lock',
    account: Account | undefined,
    requestId: string,
  ) {
    await audit.append({ action, actor: null, subject: account?.id ?? null, requestId }).catch(deps.onAuditFailure)
  }

  return {
    async check({ username, password, requestId }) {
      budget.take()
      const account = await users.findByUsername(username)
      const name = countedName(account, username)
      const counted = await attempts.begin(name, loginWindowMs)
      if (counted.attempts > loginFailuresMax) {
        // Once per window: who keeps trying must not fill the log.
        if (counted.attempts === loginFailuresMax + 1) await note('authn_login_lock', account, requestId)
        const detail = `There were ${loginFailuresMax} failed logins for this account: wait before the next one.`
        const retryAfterSeconds = Math.max(1, Math.ceil((counted.windowEndsAtMs - nowMs()) / 1_000))
        throw new GatewayError('TOO_MANY_ATTEMPTS', detail, { retryAfterSeconds })
      }
      let right = false
      try {
        right = await isRight(account, password)
      } catch (error) {
        await attempts.undo(name).catch(() => {})
        throw error
      }
      const role = parseRole(account?.role)
      if (!right || account === undefined || role === undefined) {
        await note('authn_login_fail', account, requestId)
        throw new GatewayError('INVALID_CREDENTIALS', 'The username or the password is wrong.')
      }
      await attempts.succeeded(name)
      return { id: account.id, username: account.username, role }
    },
  }
}
