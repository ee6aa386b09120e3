/** How long ClickHouse and MySQL are away. */
export const awayMs = { full: 600_000, quick: 45_000 }

/**
 * The parts of it: connections are refused; they are taken and nothing is ever answered, as by a network that is cut; refused again. Each takes its share of the
 * time.
 */
export const phases = [
  { mode: 'refusing', share: 0.3 },
  { mode: 'silent', share: 0.4 },
  { mode: 'refusing', share: 0.3 },
] as const

/** Calm before and after, for the comparison. */
export const calmMs = { full: 20_000, quick: 10_000 }

/** Of each kind of request: clients that send one after the other, items of a request, and the pause between two. */
export const senders = {
  events: { clients: 3, items: 40, pauseMs: 100 },
  leads: { clients: 2, items: 1, pauseMs: 100 },
  'bulk-leads': { clients: 1, items: 20, pauseMs: 400 },
} as const

/** A request that is not answered for so long is given up. */
export const hungMs = 30_000

/** Between two looks at memory. */
export const memoryPollMs = 500

/** Between two looks at what is waited for. */
export const pollMs = 250

/**
 * How much a process may grow over what it took in the calm, whatever waits in Kafka: batches in memory (64 MiB in the ClickHouse sink, 32 in that of MySQL), as
 * much again for what is made of them, a fetch, and the young generation of the heap. The gateway holds nothing of it.
 */
export const growthBytesMax = 192 * 1024 * 1024

/** Gateway and sinks are ready within this time, before and after. */
export const readyDeadlineMs = 300_000

/** Everything that was accepted is stored so long after the databases are back. */
export const storedDeadlineMs = 300_000

/** The lag of a topic is seen at the latest this long after an outage has begun. */
export const lagDeadlineMs = 30_000

/**
 * So many of the requests may be told that the gateway has too much to do while the databases are away, or as many as when they are there: that is no outage, but a machine
 * that others use.
 */
export const overloadedShareMax = 0.01
