import type { Connection, RowDataPacket } from 'mysql2/promise'

type Variables = Readonly<Record<string, string | undefined>>

/** Where the services' MySQL is, as their environment says. */
export function mysqlOptions(variables: Variables) {
  return {
    host: variables.MILLRACE_MYSQL_HOST ?? '127.0.0.1',
    port: Number(variables.MILLRACE_MYSQL_PORT ?? 3306),
    user: variables.MILLRACE_MYSQL_USER ?? 'millrace',
    password: variables.MILLRACE_MYSQL_PASSWORD ?? '',
    database: variables.MILLRACE_MYSQL_DATABASE ?? 'millrace',
  }
}

/** The number that a statement answers in its column `found`; 0 where it has none. */
export async function numberOf(connection: Connection, sql: string): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>(sql)
  return Number(rows[0]?.found ?? 0)
}
