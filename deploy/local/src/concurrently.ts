/**
 * Runs the tasks at once. When one fails the others are told to stop, through the signal they were given; all have
 * ended when this throws the first failure.
 */
export async function concurrently(
  signal: AbortSignal,
  tasks: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const cancel = new AbortController()
  const shared = AbortSignal.any([signal, cancel.signal])
  let failed = false
  let failure: unknown
  await Promise.all(
    tasks.map(async (task) => {
      try {
        await task(shared)
      } catch (error) {
        if (!failed) failure = error
        failed = true
        cancel.abort()
      }
    }),
  )
  if (failed) throw failure
}
