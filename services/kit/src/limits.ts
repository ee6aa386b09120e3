/** A variable's value, or a secret's file: far above any address list or key, far below a file named by mistake. */
export const envValueBytesMax = 64 * 1024

/** A service must be gone this long after SIGTERM; process managers kill after 10 s or more. */
export const closeDeadlineMsDefault = 9_000

/** One readiness check may take this long; probes usually give up after a few seconds. */
export const checkTimeoutMsDefault = 2_000

/** First delay and longest delay between attempts. */
export const backoffBaseMsDefault = 100
export const backoffMaxMsDefault = 10_000

/** How long a service waits for a server that is away when it starts. */
export const dependencyDeadlineMsDefault = 120_000

/** Probe requests are tiny: nothing larger, slower or more numerous is served. */
export const healthConnectionsMax = 64
export const healthRequestTimeoutMs = 10_000

/** While a dependency is waited for, the log says so this often. */
export const waitProgressMs = 5_000
