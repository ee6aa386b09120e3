import { StreamsError } from '../core/errors.ts'

/**
 * Translates what the binding throws. It has one code, EIO, for a held lock, for damaged files and for a failing disk, so that this, the
 * adapter's edge, is the one place that has to look at texts.
 */
export function translateDatabaseError(error: unknown, action: string, store?: string): StreamsError {
  const cause = deepestCause(error)
  const text = cause instanceof Error ? cause.message : String(cause)
  const context = store === undefined ? { cause: error } : { cause: error, store }
  if (text.includes('/LOCK: ')) return new StreamsError('STORE_LOCKED', `${action}: another process holds it`, context)
  if (operatingSystemTexts.some((known) => text.includes(known)) || operatingSystemCodes.has(codeOf(cause))) {
    return new StreamsError('STORE_FAILED', `${action}: ${text}`, context)
  }
  return new StreamsError('STORE_CORRUPT', `${action}: ${text}`, context)
}

/** The disk, a limit or a permission is the trouble: what is stored may be whole. RocksDB appends strerror's text to its own. */
const operatingSystemTexts = [
  'No space left on device',
  'Permission denied',
  'Operation not permitted',
  'Read-only file system',
  'Too many open files',
  'Cannot allocate memory',
  'Input/output error',
  'Disk quota exceeded',
  'File too large',
  'No locks available',
  'exists but is not a directory',
  'session is closed',
]
const operatingSystemCodes = new Set(['ENOSPC', 'ENOMEM', 'EACCES', 'EPERM', 'ENOTDIR', 'EROFS', 'EBUSY', 'ESHUTDOWN'])

/** A batch that fails says only 'Batch was not applied', with the reason as its cause or among its errors. */
function deepestCause(error: unknown): unknown {
  if (error instanceof AggregateError) {
    const first: unknown = error.errors.find((each) => each instanceof Error)
    if (first !== undefined) return deepestCause(first)
  }
  return error instanceof Error && error.cause !== undefined ? deepestCause(error.cause) : error
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
