import { StreamsError } from '../core/errors.ts'

/** What `work` comes to, or `TIMED_OUT` when that takes longer; the work itself goes on then, and how it ends is nobody's concern. */
export async function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StreamsError('TIMED_OUT', `${what} took longer than ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, expired])
  } finally {
    clearTimeout(timer)
  }
}
