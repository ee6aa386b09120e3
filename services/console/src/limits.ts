/**
 * Every bound of the page in one place, each with its reason. The page is left open for days on a wall screen: nothing may grow.
 */

/** Event types kept in memory per interval. Above it the type that has been silent longest goes; the page says that some are missing. */
export const typesMax = 500

/** Windows kept per type beyond the shown range: room for windows that arrive slightly ahead of the page's clock. */
export const windowsSpareMax = 12

/** Types drawn with a colour of their own; more colours cannot be told apart. The rest is drawn as "other". */
export const chartTypesMax = 8

/** Rows of the table before "show all": more than a screen of rows hides the health strip. */
export const tableRowsMax = 20

/** Ten-second windows of a spark line: five minutes. */
export const sparkWindowsMax = 30

/** A request without an answer for this long is given up: the page then says so instead of looking merely quiet. */
export const requestTimeoutMs = 10_000

/** Windows asked for at once: the most the gateway gives. Enough for 50 types over 180 windows. */
export const statsWindowsPerAnswer = 10_000

/** How often a range whose answer was cut is halved: 16 parts hold 160,000 windows, close to what the page keeps at its bounds. */
export const statsSplitsMax = 4

/** A stream that has not sent one byte, not even a heartbeat, for this long is taken for dead and opened again. */
export const streamIdleMs = 45_000

/** One message of the stream is well below a kilobyte; a longer one is not from our gateway. */
export const streamMessageCharsMax = 65_536

/** First and longest wait before the stream is opened again. */
export const backoffFirstMs = 500
/** The longest wait: short enough that a person who watches a restart need not reload. */
export const backoffMaxMs = 15_000

/** The page draws at most this often, however fast windows change. */
export const renderEveryMs = 250

/** The clock tick which moves the shown range and the "updated n s ago". */
export const tickEveryMs = 1_000

/** How often the state of the servers is asked for. */
export const healthEveryMs = 15_000

/** In the view of the latest data, a jump of the data is followed by at most one load of history per this time. */
export const reloadEveryMs = 5_000

/** A clock that differs less than this from the server's is not corrected: the Date header has whole seconds only. */
export const clockSkewToleratedMs = 2_000

/** How long before its end an access token is replaced: longer than a request takes, shorter than any token lives. */
export const refreshAheadMs = 45_000

/** A comparison of everything that was acknowledged takes the gateway up to a minute. */
export const reconciliationTimeoutMs = 65_000

/** How often the open view of operations is asked for anew; the gateway compares no oftener. */
export const operationsEveryMs = 30_000

/** Minutes of the strip of a topic: the hour that the gateway compares, and the one that has begun. */
export const operationsMinutesMax = 61
