/** The passing of time, as an argument, so that tests need not wait. */
export interface Timers {
  /** Resolves after the time, or as soon as `signal` aborts; never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>
  /** Runs again and again until the returned function is called. */
  every(ms: number, run: () => void): () => void
}

/** The browser's timers. */
export const browserTimers: Timers = {
  wait(ms, signal) {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, ms)
      signal.addEventListener('abort', finish)
    })
  },
  every(ms, run) {
    const timer = setInterval(run, ms)
    return () => clearInterval(timer)
  },
}
