import { numberVariable, runMigration, variable } from '../migrate-command.ts'
import { retentionDaysMax } from './limits.ts'
import { clickHouseMigrationTarget } from './migration-target.ts'

// Brings ClickHouse to this version: `node storage/src/clickhouse/migrate-main.ts`. May be run by several processes, and again, at any time.
await runMigration(() =>
  clickHouseMigrationTarget({
    url: variable(process.env, 'MILLRACE_CLICKHOUSE_URL', 'http://127.0.0.1:8123'),
    user: variable(process.env, 'MILLRACE_CLICKHOUSE_USER', 'millrace'),
    password: variable(process.env, 'MILLRACE_CLICKHOUSE_PASSWORD'),
    database: variable(process.env, 'MILLRACE_CLICKHOUSE_DATABASE', 'millrace'),
    eventsRetentionDays: numberVariable(process.env, 'MILLRACE_EVENTS_RETENTION_DAYS', {
      min: 0,
      max: retentionDaysMax,
    }),
  }),
)
