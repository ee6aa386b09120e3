/** Of `events` and `leads`, as the catalogue has them. */
export const partitions = 4

/** Sinks of each kind that share the work all the time; one more comes and goes. */
export const slotsPerKind = 2

/** Records per second that are sent, steadily. */
export const eventsPerSecond = 1_500
export const leadsPerSecond = 150

/** Between two sends of the feed. */
export const feedIntervalMs = 20

/** A producer repeats a batch for this long. */
export const deliveryTimeoutMs = 120_000

/** How old a batch of the ClickHouse sink gets: short, so that there are many inserts to hit. */
export const batchAgeMaxMs = 100

/** A service starts, joins its groups and finds its offsets. Members of a killed process may have to time out first (10 s). */
export const runningDeadlineMs = 300_000

/** A service that was asked to close has its own deadlines, of 10 s in all. */
export const exitDeadlineMs = 60_000

/** A sink that shares the work comes to the next write within this time. */
export const momentDeadlineMs = 60_000

/** A database that was killed is started again by its launcher, and answers. */
export const databaseDeadlineMs = 120_000

/** How long a database refuses, or is slow. */
export const troubleMs = 6_000

/** What a slow database takes for every answer on top. */
export const slownessMs = 1_200

/** In a storm a member joins or leaves in this rhythm, or as soon as the former one has got its partitions. */
export const stormBeatMs = 5_000
/** How often one joins, and how often one leaves, in each storm. */
export const stormJoins = { full: 4, quick: 2 }

/** A rebalance comes to its end: every member has its partitions. */
export const rebalancedDeadlineMs = 60_000

/** The longest wait for everything that was sent to be stored, when the faults are over. */
export const drainDeadlineMs = 180_000

/** The same in a quick run in which a guarantee is broken on purpose. */
export const brokenDrainDeadlineMs = 45_000

/** An insert that is killed while it is on its way is killed within this time after it began. */
export const duringMsMax = 40

/** The part of the faults of one kind that must have come at the moment that was planned; a sink that has just lost its partitions may write nothing in time. */
export const hitsNeeded = 0.6

/** What a run must have at least to show anything, beside its kills. */
export const evidenceNeeded = {
  full: { repeated: 4, rebalances: 10 },
  quick: { repeated: 1, rebalances: 3 },
} as const

/** Every so many leads one is of the same person as one before. */
export const duplicateEvery = 10
