import { asc, eq, sql } from 'drizzle-orm'
import { usersMax } from './limits.ts'
import type { Mysql } from './mysql.ts'
import { users } from './schema.ts'

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

/** Accounts in MySQL. */
export interface UserRepository {
  /** Usernames are compared without regard to case. */
  findByUsername(username: string): Promise<StoredUser | undefined>
  byId(id: string): Promise<StoredUser | undefined>
  /** Makes the account, or sets password, role and state of the one with this username. Idempotent. */
  upsert(user: UserSeed): Promise<void>
  /** All accounts by username, at most `usersMax`. */
  list(): Promise<readonly StoredUser[]>
}

/** The repository of `users`. */
export function createUserRepository(mysql: Mysql, now: () => Date = () => new Date()): UserRepository {
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

    async upsert({ id, username, passwordHash, role, disabled = false }) {
      const at = now()
      await mysql.run('storing an account', (database) =>
        database
          .insert(users)
          .values({ id, username, passwordHash, role, disabled, createdAt: at, updatedAt: at })
          .onDuplicateKeyUpdate({ set: { passwordHash, role, disabled, updatedAt: at, id: sql`${users.id}` } }),
      )
    },

    list: () =>
      mysql.run('listing accounts', (database) =>
        database.select().from(users).orderBy(asc(users.username)).limit(usersMax),
      ),
  }
}
