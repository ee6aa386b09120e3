import type { FastifyBaseLogger } from 'fastify'
import { accountUpkeepMs } from '../limits.ts'
import type { Credentials } from './credentials.ts'
import type { AccountStores } from './ports.ts'

/** What the upkeep is about. */
export interface UpkeepDeps {
  readonly stores: Pick<AccountStores, 'sessions' | 'apiKeys' | 'attempts'>
  readonly credentials: Pick<Credentials, 'takeKeyUses'>
  readonly logger: FastifyBaseLogger
}

/** What no request waits for, done again and again. */
export interface AccountUpkeep {
  /** Does it once; never rejects. What could not be written is lost: a use of a key is noted again when it is used again. */
  run(): Promise<void>
  /** Ends it, after uses of API keys were written down a last time. */
  close(): Promise<void>
}

/** Starts to write down uses of API keys, and to delete sessions and failed logins that have expired. */
export function startAccountUpkeep({ stores, credentials, logger }: UpkeepDeps): AccountUpkeep {
  let failing = false

  async function noteUses(): Promise<void> {
    const uses = credentials.takeKeyUses()
    if (uses.size > 0) await stores.apiKeys.noteUses(uses)
  }

  /** Each by itself; a failure is told once, not every minute of an outage. */
  async function attempt(works: readonly (() => Promise<unknown>)[]): Promise<void> {
    let failure: unknown
    for (const work of works) {
      await work().catch((error: unknown) => {
        failure = error
      })
    }
    if (failure !== undefined && !failing) {
      logger.warn({ err: failure }, 'the upkeep of accounts failed, and will be tried again')
    }
    failing = failure !== undefined
  }

  const run = () => attempt([noteUses, () => stores.sessions.deleteExpired(), () => stores.attempts.deleteExpired()])
  const timer = setInterval(() => void run(), accountUpkeepMs)
  timer.unref()
  return {
    run,
    async close() {
      clearInterval(timer)
      await attempt([noteUses])
    },
  }
}
