// Configuration.

// Start, waiting, end.
export { type BackoffOptions, backoffMs, type RetryOptions, retry, sleep } from './backoff.ts'
// Health.
export { type Check, type CheckResult, type HealthReport, type HealthState, healthStates, runChecks } from './checks.ts'
export {
  type EnvConfig,
  type EnvField,
  type Environment,
  envAddresses,
  envBool,
  envEnum,
  envInt,
  envList,
  envOptional,
  envPort,
  envSecret,
  envString,
  envUrl,
  type FieldResult,
  readEnv,
} from './config.ts'
// Errors.
export { KitError, type KitErrorCode, kitErrorCodes } from './errors.ts'
export { type HealthServer, startHealthServer } from './health-server.ts'
// Logs and metrics.
export { createLogger, describeError, type Logger, type LogLevel, logLevels } from './logger.ts'
export { Counter, createMetrics, Gauge, Histogram, type Registry } from './metrics.ts'
export { exitCodeConfig, runMain } from './run-main.ts'
export { installShutdown, type ProcessPort, type Shutdown } from './shutdown.ts'
export { createSinkMetrics, exposeSinkLag, type SinkMetrics, type StoredPartition } from './sink-metrics.ts'
export { waitFor } from './wait-for.ts'
