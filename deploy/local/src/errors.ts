/** Why the launcher gave up. docs/operations.md lists each code with its usual cause. */
export const launcherErrorCodes = [
  'BAD_OPTION',
  'UNSUPPORTED_PLATFORM',
  'JAVA_MISSING',
  'MAVEN_MISSING',
  'DOWNLOAD_FAILED',
  'PORT_TAKEN',
  'ALREADY_RUNNING',
  'PREPARE_FAILED',
  'NOT_READY',
  'ENDED_EARLY',
  'COMMAND_FAILED',
  'DEMO_FAILED',
  'K6_MISSING',
  'INTERRUPTED',
] as const
export type LauncherErrorCode = (typeof launcherErrorCodes)[number]

/** The one error class of the launcher: the message says what failed and, where one is known, the fix. */
export class LauncherError extends Error {
  readonly code: LauncherErrorCode

  constructor(code: LauncherErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(`[${code}] ${message}`, options)
    this.name = 'LauncherError'
    this.code = code
  }
}
