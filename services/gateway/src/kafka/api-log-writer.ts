import type { Logger } from '@millrace/kit'
import type { ApiLog } from '@millrace/schemas'
import { apiLogBatchMax, apiLogFlushMs, apiLogQueueMax } from '../limits.ts'
import type { TopicWriter } from './ports.ts'

/** Counts what becomes of entries. */
export interface ApiLogCounts {
  written(entries: number): void
  dropped(entries: number): void
}

/** Collects the API's log and writes it in batches, one at a time. When Kafka does not keep up, entries are dropped and counted. */
export interface ApiLogWriter {
  add(entry: ApiLog): void
  /** Writes what is left, and takes nothing any more; idempotent. */
  close(): Promise<void>
}

/** Makes the writer. An entry waits at most `apiLogFlushMs` for its batch while Kafka is well. */
export function createApiLogWriter(options: {
  readonly writer: Pick<TopicWriter<ApiLog>, 'write'>
  readonly counts: ApiLogCounts
  readonly logger: Logger
}): ApiLogWriter {
  const { writer, counts, logger } = options
  let queue: ApiLog[] = []
  let writing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function add(entry: ApiLog): void {
    if (closed || queue.length >= apiLogQueueMax) {
      counts.dropped(1)
      return
    }
    queue.push(entry)
    if (queue.length >= apiLogBatchMax) startWriting()
    else timer ??= setTimeout(onTimer, apiLogFlushMs)
  }

  function onTimer(): void {
    timer = undefined
    startWriting()
  }

  /** Forgotten only behind the assignment: with nothing to write, `writeAll` ends before it, and would seem to run forever. */
  function startWriting(): void {
    writing ??= writeAll().finally(() => {
      writing = undefined
    })
  }

  async function writeAll(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    while (queue.length > 0) {
      const batch = queue.slice(0, apiLogBatchMax)
      queue = queue.slice(batch.length)
      try {
        await writer.write(batch)
        counts.written(batch.length)
      } catch (error) {
        counts.dropped(batch.length)
        logger.warn({ err: error, count: batch.length }, 'entries of the API log could not be written and are dropped')
      }
    }
  }

  return {
    add,
    async close() {
      closed = true
      clearTimeout(timer)
      startWriting()
      await writing
    },
  }
}
