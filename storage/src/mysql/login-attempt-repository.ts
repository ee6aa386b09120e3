import { eq, gt, lt, sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { deletedRowsMax } from './limits.ts'
import type { Mysql } from './mysql.ts'
import { loginAttempts } from './schema.ts'

/** How many logins have been tried within the current window, this one included. */
export interface CountedAttempts {
  readonly attempts: number
  readonly windowEndsAtMs: number
}

/** Failed logins, counted for all gateways together and across their restarts. */
export interface LoginAttemptRepository {
  /** Counts an attempt ahead of its check, so that attempts made side by side count too. The first one begins a window of `windowMs`. */
  begin(nameHash: string, windowMs: number): Promise<CountedAttempts>
  /** The attempt was no guess: the account starts with none again. */
  succeeded(nameHash: string): Promise<void>
  /** The attempt could not be checked: it does not count. */
  undo(nameHash: string): Promise<void>
  /** Deletes some of those whose window is over. Returns how many. */
  deleteExpired(): Promise<number>
}

/** The repository of `login_attempts`. */
export function createLoginAttemptRepository(mysql: Mysql, now: () => Date = () => new Date()): LoginAttemptRepository {
  const { failures, windowEndsAt } = loginAttempts
  return {
    begin(nameHash, windowMs) {
      const at = now()
      const end = new Date(at.getTime() + windowMs)
      const isOver = sql`${windowEndsAt} <= ${param(at)}`
      return mysql.transaction('counting a login', async (database) => {
        // MySQL assigns from left to right: the count looks at the window before it is renewed.
        await database
          .insert(loginAttempts)
          .values({ nameHash, failures: 1, windowEndsAt: end })
          .onDuplicateKeyUpdate({
            set: {
              failures: sql`IF(${isOver}, 1, LEAST(${failures} + 1, 1000000))`,
              windowEndsAt: sql`IF(${isOver}, ${param(end)}, ${windowEndsAt})`,
            },
          })
        const [row] = await database.select().from(loginAttempts).where(eq(loginAttempts.nameHash, nameHash))
        if (row === undefined) throw new StorageError('FAILED', 'login_attempts lost a row within its transaction')
        return { attempts: row.failures, windowEndsAtMs: row.windowEndsAt.getTime() }
      })
    },

    async succeeded(nameHash) {
      await mysql.run('forgetting failed logins', (database) =>
        database.delete(loginAttempts).where(eq(loginAttempts.nameHash, nameHash)),
      )
    },

    async undo(nameHash) {
      await mysql.run('taking back a counted login', (database) =>
        database
          .update(loginAttempts)
          .set({ failures: sql`${failures} - 1` })
          .where(sql`${eq(loginAttempts.nameHash, nameHash)} AND ${gt(failures, 0)}`),
      )
    },

    deleteExpired: () =>
      mysql.run('deleting old failed logins', async (database) => {
        const [result] = await database.delete(loginAttempts).where(lt(windowEndsAt, now())).limit(deletedRowsMax)
        return result.affectedRows
      }),
  }

  function param(at: Date) {
    return sql.param(at, windowEndsAt)
  }
}
