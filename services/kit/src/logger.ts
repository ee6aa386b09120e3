import { type DestinationStream, type Logger, pino } from 'pino'

/** The service log: pino's interface. */
export type { Logger } from 'pino'

/** Log levels, as MILLRACE_LOG_LEVEL takes them. */
export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/**
 * Fields that every service may log. A log line holds ids, counts, places and codes; never bodies, names, addresses,
 * record keys or values. A service adds its own fields by name; any other field is left out, and its name listed in
 * `dropped_fields`, so that a mistake shows without leaking.
 */
const fieldsAllowed = [
  'err',
  'code',
  'reason',
  'signal',
  'dependency',
  'attempt',
  'delay_ms',
  'duration_ms',
  'waited_ms',
  'deadline_ms',
  'host',
  'port',
  'url',
  'version',
  'name',
  'status',
  'count',
  'bytes',
  'rows',
  'topic',
  'topics',
  'partition',
  'partitions',
  'offset',
  'first_offset',
  'last_offset',
  'group_id',
  'client_id',
  'schema_id',
  'request_id',
  'trace_id',
  'span_id',
  'principal',
] as const

/** Makes the service's logger: JSON lines on stdout with ISO times, allow-listed fields, errors with code and causes. */
export function createLogger(options: {
  readonly service: string
  readonly level: LogLevel
  /** Further fields that this service may log. */
  readonly fields?: readonly string[]
  /** Where lines go; stdout unless a test collects them. */
  readonly destination?: DestinationStream
}): Logger {
  const allowed: ReadonlySet<string> = new Set([...fieldsAllowed, ...(options.fields ?? [])])
  const settings = {
    level: options.level,
    base: { service: options.service, pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: describeError },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: Record<string, unknown>) => keepAllowed(fields, allowed),
    },
  }
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination)
}

function keepAllowed(fields: Record<string, unknown>, allowed: ReadonlySet<string>): Record<string, unknown> {
  const kept: Record<string, unknown> = {}
  const dropped: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    if (allowed.has(name)) kept[name] = value
    else dropped.push(name)
  }
  if (dropped.length > 0) kept.dropped_fields = dropped
  return kept
}

/** An error as it is logged: type, code, message, stack, and the same of its causes (at most four, without stacks). */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) }
  const causes: Record<string, unknown>[] = []
  let cause = error.cause
  while (cause instanceof Error && causes.length < 4) {
    causes.push({ type: cause.name, ...codeOf(cause), message: cause.message })
    cause = cause.cause
  }
  return {
    type: error.name,
    ...codeOf(error),
    message: error.message,
    stack: error.stack,
    ...(causes.length === 0 ? {} : { causes }),
  }
}

function codeOf(error: Error): { code?: string } {
  return 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
}
