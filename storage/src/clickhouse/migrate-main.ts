import { runMigration, variable } from '../migrate-command.ts'
import { openClickHouse } from './clickhouse.ts'
import { migrateClickHouse } from './migrate.ts'

// Brings ClickHouse to this version: `node storage/src/clickhouse/migrate-main.ts`. May be run again at any time.
await runMigration(() => {
  const options = {
    url: variable(process.env, 'MILLRACE_CLICKHOUSE_URL', 'http://127.0.0.1:8123'),
    user: variable(process.env, 'MILLRACE_CLICKHOUSE_USER', 'millrace'),
    password: variable(process.env, 'MILLRACE_CLICKHOUSE_PASSWORD'),
    database: variable(process.env, 'MILLRACE_CLICKHOUSE_DATABASE', 'millrace'),
  }
  const server = openClickHouse({ ...options, database: 'default' })
  return {
    name: 'ClickHouse',
    ping: server.ping,
    migrate: () => migrateClickHouse(options),
    close: server.close,
  }
})
