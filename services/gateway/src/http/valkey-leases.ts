import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, defineScript } from '@redis/client'
import {
  rateLimitStoreConnectMs,
  rateLimitStorePingMs,
  rateLimitStoreRetryMs,
  rateLimitStoreSilenceMs,
  rateLimitStoreTimeoutMs,
  rateLimitWindowMs,
} from '../limits.ts'
import type { Lease, LeaseStore } from './shared-counts.ts'

/** How to reach the store. */
export interface ValkeyAddress {
  /** `redis://` or, with TLS, `rediss://`; a path is the number of the database. */
  readonly url: string
  readonly username: string | undefined
  readonly password: string | undefined
}

/** How long it is waited for; the gateway's own limits unless a test says otherwise. */
export interface ValkeyPatience {
  /** For an answer. */
  readonly answerMs: number
  /** For a connection. */
  readonly connectMs: number
  /** For anything on a connection, whose pings are answered every few seconds. */
  readonly silenceMs: number
}

const patienceDefault: ValkeyPatience = {
  answerMs: rateLimitStoreTimeoutMs,
  connectMs: rateLimitStoreConnectMs,
  silenceMs: rateLimitStoreSilenceMs,
}

/** Before each key, so that a store may be shared with others. */
const keyPrefix = 'millrace:rate:'

/**
 * One step on the server: what is left of the window, as much of it as is wanted, and the window's end. A key that has no end (somebody made it by hand) gets one.
 */
const takeLease = defineScript({
  SCRIPT: `
local taken = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - taken))
if granted > 0 then taken = redis.call('INCRBY', KEYS[1], granted) end
local ends = redis.call('PTTL', KEYS[1])
if ends < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  ends = tonumber(ARGV[3])
end
return { granted, taken, ends }`,
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key: string, { wanted, max }: { readonly wanted: number; readonly max: number }) {
    parser.pushKey(`${keyPrefix}${key}`)
    parser.push(String(wanted), String(max), String(rateLimitWindowMs))
  },
  transformReply: readLease,
})

/**
 * Opens a store in Valkey or Redis (6.2 or newer). It connects by itself, and again whenever the connection is lost; until then `take` rejects at once. Resolves when
 * it is connected, or when `connectMs` are over: a store that is away keeps no gateway from starting.
 */
export async function openValkeyLeases(
  { url, username, password }: ValkeyAddress,
  { answerMs, connectMs, silenceMs }: ValkeyPatience = patienceDefault,
): Promise<LeaseStore> {
  const client = createClient({
    url,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    scripts: { takeLease },
    // What cannot be sent now is counted here: nothing is to wait for a connection.
    disableOfflineQueue: true,
    // A server that has stopped to answer keeps its connections open: without an answer to a ping they are closed.
    pingInterval: rateLimitStorePingMs,
    socket: {
      connectTimeout: connectMs,
      socketTimeout: silenceMs,
      reconnectStrategy: rateLimitStoreRetryMs,
    },
  })
  let lastError: unknown
  client.on('error', (error) => {
    lastError = error
  })
  const connected = client.connect().catch(() => undefined)
  await Promise.race([connected, sleep(connectMs, undefined, { ref: false })])
  return {
    async take(key, request) {
      if (!client.isReady) throw new Error('there is no connection', { cause: lastError })
      return await inTime(client.takeLease(key, request), answerMs)
    },
    async close() {
      if (client.isOpen) client.destroy()
    },
  }
}

/** The client's own timeout ends when a command has been sent. */
async function inTime<T>(answer: Promise<T>, answerMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${answerMs} ms`)), answerMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

function readLease(reply: unknown): Lease {
  const [granted, taken, endsInMs] = Array.isArray(reply) ? reply : []
  if (typeof granted === 'number' && typeof taken === 'number' && typeof endsInMs === 'number') {
    return { granted, taken, endsInMs }
  }
  throw new Error('the store of the rate limits answered something else than a lease')
}
