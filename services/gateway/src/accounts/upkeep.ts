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

  async function attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
      failing = false
    } catch (error) {
      if (!failing) logger.warn({ err: error }, 'the upkeep of accounts failed, and will be tried again')
      failing = true
    }
  }

  async function noteUses(): Promise<void> {
    const uses = credentials.takeKeyUses()
    if (uses.size > 0) await stores.apiKeys.noteUses(uses)
  }

  async function run(): Promise<void> {
    await attempt(noteUses)
    await attempt(() => stores.sessions.deleteExpired())
    await attempt(() => stores.attempts.deleteExpired())
  }

  const timer = setInterval(() => void run(), accountUpkeepMs)
  timer.unref()
  return {
    run,
    async close() {
      clearInterval(timer)
      await attempt(noteUses)
    },
  }
}
