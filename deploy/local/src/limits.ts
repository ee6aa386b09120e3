/** Every deadline and bound of the launcher, with its reason. */
export const limits = {
  /** A cold JVM on a slow disk needs seconds, and on a machine with twenty processes waiting a whole minute; the registry's first start creates its topics. */
  readyDeadlineMs: { kafka: 180_000, registry: 180_000, mariadb: 120_000, clickhouse: 120_000, service: 120_000 },
  /** One-shot commands: creating topics, migrating, seeding. */
  commandDeadlineMs: 180_000,
  /** mariadb-install-db and Kafka's format. */
  prepareDeadlineMs: 180_000,
  readyPollMs: 100,
  /** One question to a server that is starting. */
  probeTimeoutMs: 5_000,
  /** The guard is a shell script: it is there within milliseconds. */
  guardDeadlineMs: 2_000,
  guardPollMs: 10,
  /** Our services promise to stop within 10 s; the servers get longer to flush. */
  stopDeadlineMs: { service: 12_000, server: 20_000, load: 30_000 },
  /**
   * How long an orphaned child waits before it ends itself, when the launcher was killed: services first, then the
   * registry, then the servers they all write to.
   */
  orphanDelayS: { service: 0, registry: 3, server: 4 },
  /** A leftover of a killed launcher may still be flushing: longer than the longest orphan delay and stop. */
  leftoverDeadlineMs: 25_000,
  /** A child that ends by itself is started again, but a crash loop is not hidden. */
  restarts: { max: 5, windowMs: 10 * 60_000, delayMs: 1_000 },
  /** Downloads: 430 MB in all. */
  downloadDeadlineMs: 30 * 60_000,
  progressMs: 3_000,
  /** Building k6 says nothing for long. */
  buildProgressMs: 15_000,
  /**
   * V8's heap of one service: old and young generation. Without the second, an idle gateway holds 330 MB instead of 180,
   * most of it garbage in a young generation that has grown at its start.
   */
  serviceHeapMb: { old: 384, young: 4 },
  /** The MySQL sink's: with 4 MB a batch of leads outlives the young generation, and a lead takes 10 to 22 % more CPU; it costs some 40 MB. */
  sinkMysqlHeapMb: { old: 384, young: 16 },
  /**
   * The processor's. With 4 MB for the young one it spent half of its time collecting garbage under a bulk import, and 384 MB were not enough for its
   * rows. Since a commit leaves little behind, 16 MB take no more CPU than 32, and 20 MB less memory (docs/decisions/0008).
   */
  processorHeapMb: { old: 640, young: 16 },
  /** Of the C library, for threads that hand each other memory: RocksDB and fetches left 55 of 440 MB unused in eight of them. */
  processorMallocArenas: 2,
  /** The processor's rows in memory, out of its heap. */
  processorStateMib: 128,
  logLinesShown: 15,
  logTailBytes: 64 * 1024,
  /** A log past this size is moved to `.log.1`, so that a launcher left running does not fill the disk. */
  logBytesMax: 64 * 1024 * 1024,
  logCheckMs: 30_000,
  parentPollMs: 1_000,
  /** The demonstration posts what is due this often, in requests of at most so many events. */
  demo: {
    tickMs: 500,
    eventsPerRequest: 500,
    attemptsMax: 10,
    retryDelayMs: 500,
    retryDelayMaxMs: 10_000,
    requestTimeoutMs: 15_000,
    reportMs: 30_000,
  },
  /** One tool of `npm test`: a bound for what hangs. The longest takes seven minutes on two cores that have nothing else to do. */
  checkDeadlineMs: 40 * 60_000,
  /** Servers, packages and a day of data. */
  diskBytesMin: 3 * 1024 ** 3,
  /** The whole stack, idle, with room to work. */
  memoryBytesMin: 3 * 1024 ** 3,
} as const
