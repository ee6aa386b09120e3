import { setTimeout as delay } from 'node:timers/promises'

/** Resolves when `what` is so. Throws with its source when it is not so within `waitMs`: a bound for what never comes, and not for what is slow. */
export async function until(what: () => boolean | Promise<boolean>, waitMs = 30_000): Promise<void> {
  const deadlineMs = Date.now() + waitMs
  while (!(await what())) {
    if (Date.now() > deadlineMs) throw new Error(`not so within ${waitMs} ms: ${what}`)
    await delay(1)
  }
}
