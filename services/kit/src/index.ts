// biome-ignore-all assist/source/organizeImports: the exports are grouped by who needs them.

// Configuration.
export {
  type EnvConfig,
  type EnvField,
  type Environment,
  envAddresses,
  envBool,
  envEnum,
  envInt,
  envList,
  envNetworks,
  envOptional,
  envPort,
  envSecret,
  envString,
  envUrl,
  type FieldResult,
  readEnv,
} from './config.ts'

// Errors.
export { isAbort, KitError, type KitErrorCode, kitErrorCodes } from './errors.ts'

// Logs and metrics.
export { createLogger, describeError, type Logger, type LogLevel, logLevels } from './logger.ts'
export { Counter, createMetrics, Gauge, Histogram, type Registry } from './metrics.ts'
export { createSinkMetrics, exposeSinkLag, type SinkMetrics, type StoredPartition } from './sink-metrics.ts'

// Health.
export { type Check, type CheckResult, type HealthReport, type HealthState, healthStates, runChecks } from './checks.ts'
export { type HealthServer, type PageAnswer, type PageRequest, type Pages, startHealthServer } from './health-server.ts'

// Start, waiting, end.
export { type BackoffOptions, backoffMs, type RetryOptions, retry, sleep } from './backoff.ts'
export { waitFor } from './wait-for.ts'
export { exitCodeConfig, runMain } from './run-main.ts'
export { installShutdown, type ProcessPort, type Shutdown } from './shutdown.ts'
