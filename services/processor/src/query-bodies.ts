import type { AppSnapshot, StoreSnapshot, TaskSnapshot } from '@millrace/streams'

/** The engine's snapshot as JSON. */
export function snapshotBody({ state, tasks, standbys, restore }: AppSnapshot): unknown {
  return {
    state,
    tasks: tasks.map(taskBody),
    standbys: standbys.map(({ taskId, store, partition, position, endOffset }) => ({
      task: taskId,
      store,
      partition,
      position,
      lag: Math.max(0, endOffset - position),
    })),
    restore:
      restore === undefined
        ? null
        : {
            stores: restore.stores,
            records: restore.records,
            remaining: restore.remaining,
            records_per_second: Math.round(restore.recordsPerSecond),
            seconds_left: restore.secondsLeft === undefined ? null : Math.round(restore.secondsLeft),
          },
  }
}

function taskBody({ id, streamTimeMs, bufferedBytes, inputs, nodes, stores }: TaskSnapshot): unknown {
  const lags = inputs.map(({ topic, partition, position, highWatermark }) => ({
    topic,
    partition,
    position,
    high_watermark: highWatermark,
    lag: Math.max(0, highWatermark - position),
  }))
  return {
    task: id,
    stream_time: streamTimeMs < 0 ? null : streamTimeMs,
    lag: lags.reduce((sum, { lag }) => sum + lag, 0),
    buffered_bytes: bufferedBytes,
    inputs: lags,
    nodes,
    stores,
  }
}

/** A store as JSON. */
export function storeBody(store: StoreSnapshot): unknown {
  return {
    name: store.name,
    kind: store.kind,
    window_size_ms: store.windowSizeMs ?? null,
    retention_ms: store.retentionMs ?? null,
    partitions: store.partitions,
    standbys: store.standbys,
    rows_estimate: store.rowsEstimate,
    bytes_estimate: store.bytesEstimate,
  }
}

/** A row as JSON. */
export function rowBody({ key, value, timestamp }: { key: string; value: unknown; timestamp: number | undefined }) {
  return { key, timestamp: timestamp ?? null, value }
}
