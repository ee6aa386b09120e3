import { sleep } from '@millrace/kit'

/** What `asking` answers within `ms`; undefined when it has not by then. It is not given up: whoever still wants its answer keeps it. Rejects as it does within that time. */
export async function answerWithin<T>(asking: Promise<T>, ms: number): Promise<T | undefined> {
  const stop = new AbortController()
  const late = sleep(ms, stop.signal).then(
    () => undefined,
    () => undefined,
  )
  try {
    return await Promise.race([asking, late])
  } finally {
    stop.abort()
    // It may reject when nobody asks any more.
    asking.catch(() => {})
  }
}
