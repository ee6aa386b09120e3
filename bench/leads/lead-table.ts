import mysql from 'mysql2/promise'
import { mysqlOptions, numberOf } from '../mysql-options.ts'

/** What MySQL has of leads. */
export interface LeadCounts {
  readonly leads: number
  /** Of them, those that are flagged as duplicates. */
  readonly duplicates: number
  readonly steps: number
}

/** The tables of leads, asked beside the services. */
export interface LeadTable {
  count(): Promise<LeadCounts>
  /** Records of `leads` that the sink has stored, over all partitions: cheap to ask again and again. */
  stored(): Promise<number>
  close(): Promise<void>
}

/** Connects as the environment of the services says. */
export async function openLeadTable(variables: Readonly<Record<string, string | undefined>>): Promise<LeadTable> {
  const connection = await mysql.createConnection(mysqlOptions(variables))
  const number = (sql: string) => numberOf(connection, sql)
  return {
    async count() {
      return {
        leads: await number('SELECT COUNT(*) AS found FROM leads'),
        duplicates: await number("SELECT COUNT(*) AS found FROM leads WHERE status = 'duplicate'"),
        // A lead's row tells two of them; the others are noted.
        steps: await number('SELECT (SELECT COUNT(*) FROM lead_history) + 2 * (SELECT COUNT(*) FROM leads) AS found'),
      }
    },
    stored: () => number("SELECT SUM(next_offset) AS found FROM sink_offsets WHERE topic = 'leads'"),
    close: () => connection.end(),
  }
}
