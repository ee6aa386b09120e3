/** How long the broker is away. A minute is longer than a restart, and shorter than what a producer repeats. */
export const awayMs = { long: 60_000, short: 20_000, quick: 12_000 }

/** The gateway's own setting: Kafka is taken for away when it has not answered for so long. */
export const spillAfterMs = 2_000

/**
 * The longest that an answer may take, whatever happens: the time above, a second of handover, a write to the disk, and the rest for two busy cores.
 */
export const answerMsMax = 10_000

/** A request that is not answered for so long hangs: the client gives it up. */
export const hungMs = 30_000

/** Calm before the first fault, and after each: for the latency that is compared. */
export const calmMs = 5_000

/** The median of a calm time after a fault may be so many times that before all faults; below the second number nobody notices. */
export const slowdownMax = 5
export const noticedMs = 250

/**
 * How much the gateway may grow over what it takes in the first calm: records that wait for Kafka (64 MiB) as they came and as they are written, a
 * group of the spill log, a transaction of the replay, and the young generation of the heap.
 */
export const growthBytesMax = 256 * 1024 * 1024

/** Between two looks at the gateway's memory. */
export const memoryPollMs = 500

/** A gateway is ready so long after its start at the latest, when Kafka is there. */
export const readyDeadlineMs = 300_000

/** When the broker is back, the log is replayed, and the gateway is well again within this time. */
export const recoveredDeadlineMs = 300_000

/** An outage is seen by the clients within this time, or the fault did not hit. */
export const spooledDeadlineMs = 30_000

/** Between two looks at what is waited for. */
export const pollMs = 100

/** Every partition of a topic has several users, and every user several requests. */
export const partitions = 4

/** Of each kind of request, how many clients send it, one request after the other, and how many items a request has. */
export const senders = {
  single: { clients: 8, items: 1 },
  array: { clients: 3, items: 40 },
  ndjson: { clients: 3, items: 40 },
  leads: { clients: 4, items: 1 },
} as const

/** Between two requests of a client. */
export const pauseMs = 20

/** Between two attempts of a client while nobody listens. */
export const reconnectMs = 200
