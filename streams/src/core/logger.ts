/** Fields of a log line: ids, counts, places and codes; never keys or values of records. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where the engine logs: pino's shape, so that a service passes its own logger. Must not throw. */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

/** Keeps silent. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
