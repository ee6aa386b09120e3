import { randomUUID } from 'node:crypto'
import { createLogger, installShutdown, runMain, waitFor } from '@millrace/kit'
import { hashPassword, type Role, verifyPassword } from '@millrace/storage/accounts'
import { createUserRepository, openMysql } from '@millrace/storage/mysql'
import { readSeedConfig } from './config.ts'

/** The accounts of a development installation. Their passwords are public: `readSeedConfig` refuses to have them anywhere else. */
const accounts: readonly { readonly username: string; readonly password: string; readonly role: Role }[] = [
  { username: 'admin', password: 'password', role: 'admin' },
  { username: 'user', password: 'password123', role: 'user' },
  { username: 'api_user', password: 'api123', role: 'producer' },
  { username: 'analyst', password: 'analyst123', role: 'analyst' },
]

runMain(async () => {
  const config = readSeedConfig(process.env)
  const logger = createLogger({ service: 'gateway-seed', level: config.logLevel })
  const shutdown = installShutdown({ logger })
  const mysql = openMysql({
    host: config.mysqlHost,
    port: config.mysqlPort,
    user: config.mysqlUser,
    password: config.mysqlPassword,
    database: config.mysqlDatabase,
    connectionsMax: 1,
  })
  shutdown.onClose('MySQL', () => mysql.close())
  await waitFor('MySQL', () => mysql.ping(), { logger, signal: shutdown.signal })
  const users = createUserRepository(mysql)
  for (const { username, password, role } of accounts) {
    const known = await users.findByUsername(username)
    // Left as it is where nothing would change: storing it ends the sessions of whoever is logged in.
    if (known?.role === role && !known.disabled && (await verifyPassword(password, known.passwordHash))) continue
    await users.upsert({ id: randomUUID(), username, role, passwordHash: await hashPassword(password) })
  }
  logger.info({ count: accounts.length }, 'the development accounts are seeded')
  await shutdown.close('done')
})
