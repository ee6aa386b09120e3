/** Of every topic of the run. Six, so that three instances have two numbers each, and two have three. */
export const partitions = 6

/** How many instances share the work. */
export const instancesCount = 3

/** Events per second that are sent, steadily; what a broker that is away held up is sent as fast as it goes. */
export const eventsPerSecond = 6_000

/** Event time passes so much faster than the clock: more windows in the same run. */
export const eventTimeSpeed = 4

/** Windows of the results, in event time. */
export const windowSizeMs = 10_000

/** An event's time may lie so far behind the newest one sent before it. */
export const disorderMs = 8_000

/**
 * Nothing may be late. A broker that is away for half a minute lets every task become idle, and then no task waits for another: what was held up
 * differs by that time, times the speed, and the disorder on top.
 */
export const graceMs = 180_000

/** Short, so that a run sees many takeovers; longer than what two busy cores make a process wait. */
export const sessionTimeoutMs = 6_000

/** The broker looks for transactions that are open for longer every ten seconds. */
export const transactionTimeoutMs = 10_000

/** The commit interval of the instances. */
export const commitIntervalMs = 100

/** The longest wait for an instance to run after its start: a session and a transaction that must time out first, and the restore. */
export const runningDeadlineMs = 60_000

/** An instance that was told to die at a failpoint passes it within this time, or it has no tasks. */
export const failpointDeadlineMs = 20_000

/** A process that was killed is gone within this time; one that closes within its own deadline and some. */
export const exitDeadlineMs = 20_000

/** The longest wait for everything that was sent to be counted, when the faults are over. */
export const drainDeadlineMs = 90_000

/** A broker that was killed answers again within this time. */
export const brokerDeadlineMs = 60_000

/** A producer repeats a batch for this long: longer than the broker is away. */
export const deliveryTimeoutMs = 120_000

/** Between two sends of the feed. */
export const feedIntervalMs = 20

/** Events of one send. */
export const eventsPerSendMax = 3_000

/** How many differences of one kind are shown. */
export const differencesShown = 8

/** So many kills must have hit an open transaction, by the word of the broker; a quick run has five kills in all. */
export const openKillsNeeded = { full: 5, quick: 2 }
