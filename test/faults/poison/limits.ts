/** How long a letter, or what is behind its record, is waited for before it counts as missing. */
export const waitMsMax = 30_000

/**
 * A letter comes within a second on a machine that has nothing else to do: the age of a batch, 750 ms in the sink of ClickHouse and in that of API logs, and the way there. The
 * bound allows for others who use the machine.
 */
export const letterMsMax = 2_000

/** What a sink may grow by all of it. */
export const growthBytesMax = 50 * 1024 * 1024

/** CPU of a whole sink from a poisoned record's acknowledgement to its letter: what it does all the time is in it. */
export const cpuMsMax = 500

/** Sound records of each topic before the first poison: so that what is measured is warm. */
export const warmRecords = 2_000

/** Between two looks. */
export const pollMs = 10

export const readyDeadlineMs = 120_000

/** Kinds of poison of a quick run. */
export const quickKinds = 2
