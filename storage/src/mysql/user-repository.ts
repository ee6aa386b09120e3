import { asc, eq } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { appendAudit } from './audit-log.ts'
import { usersMax } from './limits.ts'
import type { Mysql } from './mysql.ts'
import { users } from './schema.ts'
import { endSessions } from './session-repository.ts'

/** An account as MySQL keeps it. The password hash is for the login only: never log or answer it. */
export type StoredUser = typeof users.$inferSelect

/** An account to be made, or brought to this state. */
export interface UserSeed {
  /** UUID; kept as it is when the username exists already. */
  readonly id: string
  readonly username: string
  readonly passwordHash: string
  readonly role: string
  readonly disabled?: boolean
}

/** What of an account is to be another. */
export interface UserChange {
  readonly passwordHash?: string
  readonly role?: string
  readonly disabled?: boolean
}

/** Accounts in MySQL. Every change ends the account's sessions and is in the audit log, all in one transaction. */
export interface UserRepository {
  /** Usernames are compared without regard to case and accents, as MySQL's collation does. */
  findByUsername(username: string): Promise<StoredUser | undefined>
  byId(id: string): Promise<StoredUser | undefined>
  /** Makes an account. Throws `ROW_REFUSED` when the username is taken. */
  create(user: UserSeed, by: string): Promise<void>
  /** Returns whether there is such an account. */
  update(username: string, change: UserChange, by: string): Promise<boolean>
  /** Makes the account, or sets password, role and state of the one with this username. Idempotent. */
  upsert(user: UserSeed): Promise<void>
  /** All accounts by username, at most `usersMax`. */
  list(): Promise<readonly StoredUser[]>
}

/** The repository of `users`. */
export function createUserRepository(mysql: Mysql, now: () => Date = () => new Date()): UserRepository {
  async function create({ id, username, passwordHash, role, disabled = false }: UserSeed, by: string): Promise<void> {
    const at = now()
    await mysql.transaction('making an account', async (database) => {
      await database.insert(users).values({ id, username, passwordHash, role, disabled, createdAt: at, updatedAt: at })
      await appendAudit(database, { action: 'user_created', actor: by, subject: id, detail: `role ${role}` }, at)
    })
  }

  async function update(username: string, change: UserChange, by: string): Promise<boolean> {
    const at = now()
    return mysql.transaction('changing an account', async (database) => {
      const [found] = await database.select().from(users).where(eq(users.username, username)).for('update')
      if (found === undefined) return false
      await database
        .update(users)
        .set({ ...change, updatedAt: at })
        .where(eq(users.id, found.id))
      await endSessions(database, { userId: found.id }, 'account-changed', at)
      await appendAudit(database, { action: 'user_updated', actor: by, subject: found.id, detail: inWords(change) }, at)
      return true
    })
  }

  return {
    async findByUsername(username) {
      const [row] = await mysql.run('reading an account', (database) =>
        database.select().from(users).where(eq(users.username, username)).limit(1),
      )
      return row
    },

    async byId(id) {
      const [row] = await mysql.run('reading an account', (database) =>
        database.select().from(users).where(eq(users.id, id)).limit(1),
      )
      return row
    },

    create,
    update,

    async upsert(user) {
      const { username, passwordHash, role, disabled = false } = user
      const change = { passwordHash, role, disabled }
      if (await update(username, change, 'seed')) return
      await create(user, 'seed').catch(async (error: unknown) => {
        // Somebody else has made it meanwhile.
        const isTaken = error instanceof StorageError && error.code === 'ROW_REFUSED'
        if (!isTaken || !(await update(username, change, 'seed'))) throw error
      })
    },

    list: () =>
      mysql.run('listing accounts', (database) =>
        database.select().from(users).orderBy(asc(users.username)).limit(usersMax),
      ),
  }
}

function inWords({ passwordHash, role, disabled }: UserChange): string {
  const words = [
    passwordHash === undefined ? '' : 'password',
    role === undefined ? '' : `role ${role}`,
    disabled === undefined ? '' : disabled ? 'disabled' : 'enabled',
  ]
  return words.filter((word) => word !== '').join(', ')
}
