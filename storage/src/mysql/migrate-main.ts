import { portVariable, runMigration, variable } from '../migrate-command.ts'
import { readLeadKey } from '../sealing/index.ts'
import { mysqlMigrationTarget } from './migration-target.ts'

// Brings MySQL to this version: `node storage/src/mysql/migrate-main.ts`. May be run by several processes, and again, at any time.
await runMigration(() => {
  const leadKey = variable(process.env, 'MILLRACE_LEAD_KEY', '')
  return mysqlMigrationTarget({
    host: variable(process.env, 'MILLRACE_MYSQL_HOST', '127.0.0.1'),
    port: portVariable(process.env, 'MILLRACE_MYSQL_PORT', '3306'),
    user: variable(process.env, 'MILLRACE_MYSQL_USER', 'millrace'),
    password: variable(process.env, 'MILLRACE_MYSQL_PASSWORD'),
    database: variable(process.env, 'MILLRACE_MYSQL_DATABASE', 'millrace'),
    leadKey: leadKey === '' ? undefined : readLeadKey(leadKey),
  })
})
