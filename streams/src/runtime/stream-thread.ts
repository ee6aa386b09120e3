import {
  type Admin,
  type Broker,
  type Fetcher,
  type MemberReport,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import type { Logger } from '../core/logger.ts'
import type { ByteStoreProvider } from '../state/store.ts'
import type { PartitionPlan, TaskNumber } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Topology } from '../topology/topology.ts'
import { assignedTasks, isMoveDue, sourcesOf, subscribedTopics, taskId } from './assignment.ts'
import { type CommitResult, commitTasks } from './commit.ts'
import { type CommitChannel, type Guarantee, openCommitChannel } from './commit-channel.ts'
import type { Failpoint } from './failpoint.ts'
import { FailureStreak } from './failure-streak.ts'
import { GroupSession } from './group-session.ts'
import { KeptState } from './kept-state.ts'
import {
  bufferedBytesMax,
  buildAgainMs,
  commitLookMs,
  keptStateCheckMs,
  keptStateCheckMsMin,
  outgoingBytesMax,
  pollWaitMsMax,
  rebalanceTimeoutMs,
  recordsPerTurnMax,
  rejoinIntervalMs,
} from './limits.ts'
import type { StoreBudget } from './open-task-store.ts'
import type { AppProbes, TaskSnapshot } from './probes.ts'
import type { QueryWorld } from './queries-locate.ts'
import type { RestoreProgress } from './recovery.ts'
import { RepartitionPurge } from './repartition-purge.ts'
import { StandbyReplicas, type StandbySnapshot } from './standby-replicas.ts'
import type { FailurePolicy } from './task.ts'
import { TaskBuilder } from './task-builder.ts'
import { TaskBuildings } from './task-buildings.ts'
import { type ActiveTask, TaskSet } from './task-set.ts'
import { within } from './within.ts'

/** What a thread is made of. */
export interface StreamThreadOptions {
  /** Tells the threads of one process apart: part of the transactional id. */
  readonly number: number
  readonly applicationId: string
  readonly topology: Topology
  readonly names: TopicNames
  readonly plan: PartitionPlan
  readonly broker: Broker
  readonly admin: Admin
  readonly stores: ByteStoreProvider
  readonly guarantee: Guarantee
  readonly commitIntervalMs: number
  readonly idleMs: number
  readonly sessionTimeoutMs: number
  readonly transactionTimeoutMs: number
  readonly stateBytesMax: number
  readonly closeDeadlineMs: number
  readonly numStandbys: number
  readonly stateCleanupDelayMs: number
  readonly queryEndpoint: string | null
  readonly clock: Clock
  readonly logger: Logger
  readonly probes: AppProbes
  readonly onFailure: FailurePolicy | undefined
  readonly deadLetterTopicOf: ((topic: string) => string) | undefined
  readonly failpoint: Failpoint
  readonly onState: (state: 'recovering' | 'running') => void
}

/** What a thread is doing. */
export interface ThreadSnapshot {
  readonly tasks: readonly TaskSnapshot[]
  readonly restore: RestoreProgress | undefined
  readonly standbys: readonly StandbySnapshot[]
}

/**
 * Runs tasks: one member of the group, one producer, one loop, which is at any time doing one thing: serving the group, processing, or
 * preparing a commit. Beside it go on: the way of a commit to the broker, the building of tasks whose stores are restored, and the copies that are
 * kept for others. A rebalance takes only the tasks that move; the others are processed on.
 *
 * A failure that another attempt may cure drops the work since the last commit and begins anew from there.
 */
export class StreamThread {
  readonly #options: StreamThreadOptions
  readonly #clientId: string
  readonly #specs: ReadonlyMap<string, StoreSpec>
  readonly #purge: RepartitionPurge
  readonly #tasks = new TaskSet()
  readonly #streak = new FailureStreak()
  readonly #closing = new AbortController()
  #leavesAtEnd = true
  #session: GroupSession | undefined
  #fetcher: Fetcher | undefined
  #channel: CommitChannel | undefined
  readonly #budget: StoreBudget = { storeBytesMax: 0 }
  readonly #buildings: TaskBuildings
  readonly #standbys: StandbyReplicas
  readonly #kept: KeptState
  #keptLookMs = 0
  /** Asks where the changelogs end; never rejects. */
  #measuring: Promise<void> | undefined
  /** Not before: the last building has failed. */
  #buildAgainMs = 0
  #rejoinWanted = false
  #rejoinedMs = Number.NEGATIVE_INFINITY
  #lastCommitMs = 0
  /** The commit under way; never rejects. */
  #committing: Promise<void> | undefined
  /** Why the last commit failed, until somebody looks. */
  #commitFailure: { readonly error: unknown } | undefined
  #running: Promise<void> | undefined

  constructor(options: StreamThreadOptions) {
    this.#options = options
    this.#clientId = `${options.applicationId}-${options.stores.processId}-${options.number}`
    this.#specs = new Map(
      options.topology.subtopologies.flatMap(({ stores }) => stores.map((spec) => [spec.name, spec] as const)),
    )
    this.#purge = new RepartitionPurge({ ...options, topics: new Set(options.plan.repartitions.keys()) })
    const builder = new TaskBuilder({ ...options, clientId: this.#clientId, budget: this.#budget })
    this.#buildings = new TaskBuildings(builder, (progress) => {
      if (progress !== undefined) options.probes.restoring?.(progress)
    })
    this.#standbys = new StandbyReplicas({
      ...options,
      committed: async (partitions) => (await this.#session?.member.committed(partitions)) ?? new Map(),
      clientId: this.#clientId,
      isBusy: () => this.#hasWork(),
    })
    this.#kept = new KeptState({ ...options, cleanupDelayMs: options.stateCleanupDelayMs })
  }

  /** Resolves when the thread was closed, after a last commit; rejects with the error that another attempt would not cure. */
  run(): Promise<void> {
    this.#running ??= this.#run()
    return this.#running
  }

  /** Ends the loop; resolves when everything is closed. Idempotent. The error that ended it, if any, goes to `run`. */
  async close({ leave }: { readonly leave: boolean }): Promise<void> {
    this.#leavesAtEnd = leave
    this.#closing.abort()
    await this.#running?.catch(() => undefined)
  }

  snapshot(): ThreadSnapshot {
    return {
      tasks: this.#tasks.snapshot(),
      restore: this.#buildings.progress,
      standbys: this.#standbys.snapshot(),
    }
  }

  /** What queries see. */
  get group(): QueryWorld['group'] {
    const view = this.#session?.view
    return view && { instanceId: this.#clientId, view }
  }

  /** The rows of a store in a partition, if they are here and restored. */
  rowsOf(store: string, partition: number): ReturnType<QueryWorld['rowsOf']> {
    const rows = this.#tasks.committedRows(store, partition)
    if (rows !== undefined) return { rows, standby: false }
    const copy = this.#standbys.committedRows(store, partition)
    return copy && { rows: copy, standby: true }
  }

  async #run(): Promise<void> {
    // A thread that fails stays a member: it is started again within the session timeout, or its tasks are given to others after that.
    let leave = false
    try {
      while (!this.#closing.signal.aborted) {
        try {
          await this.#turn()
        } catch (error) {
          await this.#startAnew(error)
        }
      }
      await this.#commitAtEnd()
      leave = this.#leavesAtEnd
    } finally {
      await this.#closeAll(leave)
    }
  }

  async #turn(): Promise<void> {
    const fetcher = await this.#openFetcher()
    const session = await this.#openSession()
    if (session.failure !== undefined) throw session.failure
    if (this.#standbys.failure !== undefined) throw this.#standbys.failure
    this.#throwCommitFailure()
    await this.#serveGroup(session)
    await this.#followAssignment(session, fetcher)
    if (this.#tasks.size === 0) {
      await this.#pause(pollWaitMsMax)
      return
    }
    await this.#fetch(fetcher)
    await this.#process(fetcher)
    if (this.#isCommitDue()) await this.#beginCommit()
  }

  async #openFetcher(): Promise<Fetcher> {
    this.#fetcher ??= await this.#options.broker.openFetcher({ clientId: this.#clientId })
    return this.#fetcher
  }

  async #openSession(): Promise<GroupSession> {
    if (this.#session !== undefined) return this.#session
    const { broker, applicationId, sessionTimeoutMs, topology, names, numStandbys } = this.#options
    this.#options.onState('recovering')
    // Before the leader is told what is here.
    this.#kept.forget()
    await this.#lookAtKeptState()
    await this.#kept.measure()
    const member = await broker.openGroupMember({
      clientId: this.#clientId,
      groupId: applicationId,
      groupInstanceId: this.#clientId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      assignment: 'same-number',
      rebalance: 'cooperative',
      standbys: numStandbys,
      report: () => this.#report(),
      logger: this.#options.logger,
    })
    this.#session = new GroupSession(member)
    this.#session.join(subscribedTopics(topology, names))
    return this.#session
  }

  /** Commits and gives up what the group takes back; drops the work when it is gone already. */
  async #serveGroup(session: GroupSession): Promise<void> {
    for (let request = session.nextRequest(); request !== undefined; request = session.nextRequest()) {
      try {
        if (request.kind === 'lost') {
          await this.#dropWork()
        } else {
          await this.#commit()
          await this.#closeTasks(this.#tasks.remove(request.partitions))
          await this.#buildings.cancel(new Set(this.#tasksOf(request.partitions).map(taskId)))
          this.#fetcher?.remove(request.partitions)
        }
        await this.#lookAtKeptState()
        this.#options.logger.info({ partitions: request.partitions.length }, `partitions ${request.kind}`)
      } catch (error) {
        await this.#dropWork()
        throw error
      } finally {
        request.done()
      }
    }
  }

  /** Brings tasks and copies in line with what the group has given us; whatever takes time goes on beside. */
  async #followAssignment(session: GroupSession, fetcher: Fetcher): Promise<void> {
    const { onState } = this.#options
    this.#takeBuilt(fetcher)
    // What is about to be taken back is still open, though it is assigned no more.
    if (!session.isSettled || session.hasRequests) {
      onState('recovering')
      return
    }
    this.#throwIfGrown(session.assigned)
    const assigned = this.#tasksOf(session.assigned)
    const numbers = new Set(assigned.map(({ partition }) => partition))
    await this.#standbys.keep(new Set(session.standbys.filter((number) => !numbers.has(number))))
    const missing = assigned.filter((number) => {
      const id = taskId(number)
      return !this.#tasks.has(id) && !this.#buildings.has(id)
    })
    const mayBuild = this.#options.clock.nowMs() >= this.#buildAgainMs
    this.#shareMemory(assigned)
    if (missing.length > 0 && mayBuild) await this.#startBuilding(session, missing)
    onState(this.#buildings.isIdle && missing.length === 0 ? 'running' : 'recovering')
    await this.#tendKeptState()
    this.#rejoinIfCaughtUp(session)
  }

  /** Nobody would ever process partitions that the plan does not know, and nobody would notice. */
  #throwIfGrown(assigned: readonly TopicPartition[]): void {
    const { plan } = this.#options
    for (const { topic, partition } of assigned) {
      const planned = plan.partitionsOf(topic)
      if (partition < planned) continue
      throw new StreamsError(
        'TOPIC_MISMATCH',
        `topic "${topic}" had ${planned} partitions when the application started and has more now: start all its processes again`,
        { topic, partition },
      )
    }
  }

  #tasksOf(partitions: readonly TopicPartition[]): readonly TaskNumber[] {
    return assignedTasks(this.#options.topology, this.#options.names, partitions)
  }

  /** Evenly among the stores of all tasks, those that run and those to come. */
  #shareMemory(tasks: readonly TaskNumber[]): void {
    const { topology, stateBytesMax } = this.#options
    const stores = new Map(topology.subtopologies.map((subtopology) => [subtopology.id, subtopology.stores.length]))
    const count = tasks.reduce((sum, { subtopology }) => sum + (stores.get(subtopology) ?? 0), 0)
    this.#budget.storeBytesMax = stateBytesMax / Math.max(count, 1)
  }

  async #startBuilding({ member }: GroupSession, numbers: readonly TaskNumber[]): Promise<void> {
    // Before anything is read: it aborts what an earlier incarnation of this thread left open.
    this.#channel ??= await openCommitChannel({
      ...this.#options,
      member,
      clientId: this.#clientId,
      transactionalId: this.#clientId,
    })
    this.#buildings.start({ numbers, member })
  }

  #takeBuilt(fetcher: Fetcher): void {
    const built = this.#builtTasks()
    if (built.length === 0) return
    if (this.#tasks.size === 0) this.#lastCommitMs = this.#options.clock.nowMs()
    for (const active of built) {
      this.#tasks.add(active)
      for (const { topic, partition, startOffset } of active.inputs)
        fetcher.seek({ topic, partition, offset: startOffset })
    }
    this.#options.logger.info({ count: built.length, tasks: built.map(({ task }) => task.id) }, 'tasks are ready')
  }

  /** A building that another attempt may bring about does not disturb the tasks that run. */
  #builtTasks(): readonly ActiveTask[] {
    try {
      return this.#buildings.take()
    } catch (error) {
      if (this.#tasks.size === 0 || !(error instanceof StreamsError) || !error.retryable) throw error
      const { clock, logger } = this.#options
      this.#buildAgainMs = clock.nowMs() + buildAgainMs
      logger.warn(
        { err: error, delay_ms: buildAgainMs },
        'tasks could not be built: they are tried again, the others go on',
      )
      return []
    }
  }

  /** What the leader divides the group by. */
  #report(): MemberReport {
    const warm: { number: number; lag: number }[] = []
    for (let number = 0; number < this.#kept.numbers; number++) {
      const isHere = this.#inUse.has(number)
      const lag = isHere ? this.#lagInUse(number) : this.#kept.lagOf(number)
      if (lag === undefined) continue
      if (isHere || this.#kept.isOnDisk(number) || lag <= limits.caughtUpLagMax) warm.push({ number, lag })
    }
    return { endpoint: this.#options.queryEndpoint, warm }
  }

  #lagInUse(number: number): number | undefined {
    if (this.#standbys.numbers.has(number)) return this.#standbys.lagOf(number) ?? this.#kept.lagOf(number)
    return this.#buildings.lagOf(number) ?? 0
  }

  /** Partition numbers whose stores are open, or are about to be. */
  get #inUse(): ReadonlySet<number> {
    const numbers = new Set(this.#standbys.numbers)
    for (const { partition } of this.#session?.assigned ?? []) numbers.add(partition)
    // What the group takes back stays open until the thread has given it up.
    for (const { task } of this.#tasks) numbers.add(task.partition)
    for (const number of this.#buildings.numbers) numbers.add(number)
    return numbers
  }

  async #tendKeptState(): Promise<void> {
    const { clock, logger, stateCleanupDelayMs } = this.#options
    const intervalMs = Math.max(keptStateCheckMsMin, Math.min(keptStateCheckMs, stateCleanupDelayMs))
    if (clock.nowMs() - this.#keptLookMs < intervalMs) return
    this.#keptLookMs = clock.nowMs()
    await this.#kept.tidy(this.#inUse)
    this.#measuring ??= this.#kept
      .measure()
      .catch((error: unknown) => logger.debug({ err: error }, 'the ends of the changelogs could not be asked for'))
      .finally(() => {
        this.#measuring = undefined
      })
  }

  async #lookAtKeptState(): Promise<void> {
    this.#keptLookMs = this.#options.clock.nowMs()
    await this.#kept.look(this.#inUse)
  }

  #rejoinIfCaughtUp(session: GroupSession): void {
    const { clock, logger } = this.#options
    if (this.#standbys.takeCaughtUp() && session.view !== undefined && isMoveDue(session.view, this.#clientId)) {
      this.#rejoinWanted = true
    }
    const nowMs = clock.nowMs()
    if (!this.#rejoinWanted || nowMs - this.#rejoinedMs < rejoinIntervalMs) return
    this.#rejoinWanted = false
    this.#rejoinedMs = nowMs
    logger.info({}, 'copies have caught up: asking the group for another division')
    session.member.rejoin()
  }

  async #fetch(fetcher: Fetcher): Promise<void> {
    const { clock } = this.#options
    const leastMs = this.#mayCommit() ? 0 : commitLookMs
    const waitMs = this.#hasWork() ? 0 : Math.min(pollWaitMsMax, Math.max(leastMs, this.#untilCommitMs()))
    // A poll that does not wait, and records that are all in memory, never let go: sockets, timers and the commit under way would stand still.
    if (waitMs === 0) await new Promise((resolve) => setImmediate(resolve))
    try {
      const fetched = await fetcher.poll(waitMs)
      const nowMs = clock.nowMs()
      for (const batches of fetched) if (!this.#tasks.feed(batches, nowMs)) fetcher.pause(batches)
    } catch (error) {
      if (!hasCode(error, 'OFFSET_OUT_OF_RANGE')) throw error
      await this.#seekToReset(error, fetcher)
    }
  }

  /**
   * The records at a committed offset are gone, deleted before they were processed: goes on where the source says, and says so. Throws
   * `OFFSET_OUT_OF_RANGE` when the log has ended before that offset.
   */
  async #seekToReset(error: StreamsError, fetcher: Fetcher): Promise<void> {
    const { topic, partition } = error
    if (topic === undefined || partition === undefined) throw error
    const { topology, names, admin, logger } = this.#options
    await this.#requireBelowLog(error, { topic, partition })
    const source = topology.subtopologies.flatMap(sourcesOf).find((node) => names.topic(node) === topic)
    const at = source?.offsetReset === 'latest' && !source.internal ? 'latest' : 'earliest'
    const [offset] = (await admin.listOffsets([{ topic, partition }], at)).values()
    if (offset === undefined) throw error
    logger.error(
      { err: error, topic, partition, offset },
      `records were deleted before they were processed: going on from the ${at} offset`,
    )
    fetcher.seek({ topic, partition, offset })
  }

  /** What has an offset in the log, or none yet, is another log than the one that was processed, also when it has grown beyond that offset by now. */
  async #requireBelowLog(error: StreamsError, of: TopicPartition): Promise<void> {
    const { admin, applicationId } = this.#options
    const key = partitionKey(of)
    const start = (await admin.listOffsets([of], 'earliest')).get(key)
    const end = (await admin.listOffsets([of], 'latest')).get(key)
    const { offset } = error
    if (start === undefined || end === undefined || offset === undefined) throw error
    if (offset < start) return
    throw new StreamsError(
      'OFFSET_OUT_OF_RANGE',
      `${key} was processed up to offset ${offset}, but its log has ${start} to ${end}: the topic was deleted and created again, or a broker has lost records. Stop all processes and reset this topic's offsets of group ${applicationId} to go on: to the latest, or, to process its records again, to the earliest`,
      { ...of, offset, cause: error },
    )
  }

  async #process(fetcher: Fetcher): Promise<void> {
    let outgoingBytes = 0
    for (const active of this.#tasks) {
      const { task } = active
      if (hasWork(active)) {
        const records = await task.process(recordsPerTurnMax)
        this.#options.probes.processed?.(task.id, records)
        active.starved = records === 0
      }
      // A task that waits for an input which is paused would wait for ever.
      if (active.starved || task.bufferedBytes < bufferedBytesMax / 2) resumeInputs(active, fetcher)
      outgoingBytes += task.outgoingBytes
    }
    if (outgoingBytes > outgoingBytesMax) await this.#sendOutgoing()
  }

  async #sendOutgoing(): Promise<void> {
    await this.#endCommit()
    const sent: (Promise<unknown> | undefined)[] = []
    for (const { task } of this.#tasks) {
      const records = task.takeOutgoing()
      if (records.length > 0) sent.push(this.#channel?.send(records))
    }
    await Promise.all(sent)
  }

  #isCommitDue(): boolean {
    if ((this.#untilCommitMs() === 0 || this.#isJoinWaiting) && this.#mayCommit()) return true
    for (const { task } of this.#tasks) if (task.full) return true
    return false
  }

  /** 0 also when the clock was set back. */
  #untilCommitMs(): number {
    const { clock, commitIntervalMs } = this.#options
    const sinceMs = clock.nowMs() - this.#lastCommitMs
    return sinceMs < 0 ? 0 : Math.max(0, commitIntervalMs - sinceMs)
  }

  /** False while one is under way, or would wait for the group with its transaction open: the processing would stand still in front of it. */
  #mayCommit(): boolean {
    return this.#committing === undefined && (this.#isJoinWaiting || this.#session?.member.isJoining !== true)
  }

  /** For what was sent since the last commit to be committed. */
  get #isJoinWaiting(): boolean {
    return this.#session?.member.isJoining === true && this.#channel?.isHolding === true
  }

  async #commit(): Promise<void> {
    await this.#beginCommit()
    await this.#endCommit()
  }

  /**
   * Resolves when the tasks have said what they have to say. The way to the broker and to the stores goes on beside the processing, which
   * waits for it before it sends anything itself; whatever fails, everything since the last commit is dropped.
   */
  async #beginCommit(): Promise<void> {
    const { clock, names, failpoint } = this.#options
    await this.#endCommit()
    if (this.#channel === undefined || this.#tasks.size === 0) return
    const startedMs = clock.nowMs()
    this.#lastCommitMs = startedMs
    this.#markIdle(startedMs)
    const { promise: prepared, resolve: onPrepared } = Promise.withResolvers<void>()
    const { streamTasks: tasks } = this.#tasks
    const parts = { tasks, channel: this.#channel, names, specs: this.#specs, clock, failpoint }
    this.#committing = commitTasks({ ...parts, onPrepared })
      .then((result) => this.#committed(result, clock.nowMs() - startedMs))
      .catch((error: unknown) => {
        this.#commitFailure = { error }
      })
      .finally(() => {
        this.#committing = undefined
      })
    await Promise.race([prepared, this.#committing])
    this.#throwCommitFailure()
  }

  async #endCommit(): Promise<void> {
    await this.#committing
    this.#throwCommitFailure()
  }

  #throwCommitFailure(): void {
    const failure = this.#commitFailure
    this.#commitFailure = undefined
    if (failure !== undefined) throw failure.error
  }

  #committed({ tasks, records, changelogRecords, offsets }: CommitResult, durationMs: number): void {
    if (tasks === 0) return
    this.#streak.end()
    this.#purge.committed(offsets)
    this.#options.probes.committed?.({ tasks, records, changelogRecords, durationMs })
  }

  /** A task whose inputs are read to their ends, and quiet for long enough, does not hold up others any more. */
  #markIdle(nowMs: number): void {
    for (const active of this.#tasks) {
      if (active.idle || nowMs - active.lastArrivalMs < this.#options.idleMs) continue
      if (active.task.bufferedBytes > 0 || !active.inputs.every((input) => this.#isAtEnd(input))) continue
      active.idle = true
      active.task.setIdle(true)
    }
  }

  #isAtEnd(input: TopicPartition & { readonly highWatermark: number }): boolean {
    const position = this.#fetcher?.position(input)
    return position !== undefined && position >= input.highWatermark
  }

  #hasWork(): boolean {
    for (const active of this.#tasks) if (hasWork(active)) return true
    return false
  }

  /** Drops the work since the last commit and waits a little, or throws `error` when another attempt would not help. */
  async #startAnew(error: unknown): Promise<void> {
    const { logger, probes, stores, onState } = this.#options
    // Another process is this member now, with a copy of this state: to come back would take the place from it, and so on for ever.
    if (hasCode(this.#session?.failure, 'FENCED')) throw this.#session.failure
    const waitMs = this.#streak.waitMsAfter(error)
    const code = error instanceof StreamsError ? error.code : 'INVALID_STATE'
    logger.warn({ err: error, code, delay_ms: waitMs }, 'the work since the last commit is dropped, and done again')
    probes.restarted?.(code)
    onState('recovering')
    await this.#dropWork()
    if (hasCode(error, 'STORE_CORRUPT')) {
      await this.#standbys.close()
      await stores.discard()
      await this.#lookAtKeptState()
    }
    if (this.#session?.failure !== undefined) await this.#closeSession({ leave: false })
    await this.#pause(waitMs)
  }

  /** Closes tasks and producer; nothing of what they did since the last commit remains. */
  async #dropWork(): Promise<void> {
    const channel = this.#channel
    this.#channel = undefined
    this.#fetcher?.assign([])
    await channel?.close()
    await this.#committing
    await this.#buildings.cancel()
    this.#commitFailure = undefined
    await this.#closeTasks(this.#tasks.clear())
  }

  async #closeTasks(tasks: readonly ActiveTask[]): Promise<void> {
    for (const { task } of tasks) await task.close()
  }

  async #commitAtEnd(): Promise<void> {
    if (this.#session === undefined) return
    try {
      await within(this.#options.closeDeadlineMs / 2, this.#commit(), 'the last commit')
    } catch (error) {
      // Nothing is lost: what was not committed is processed again by whoever has the partitions next.
      this.#options.logger.warn({ err: error }, 'the last commit failed: its records will be processed again')
    }
  }

  async #closeAll(leave: boolean): Promise<void> {
    await this.#dropWork()
    await this.#standbys.close()
    await this.#measuring
    await this.#closeSession({ leave })
    await this.#fetcher?.close()
  }

  async #closeSession(how: { readonly leave: boolean }): Promise<void> {
    const session = this.#session
    this.#session = undefined
    session?.end()
    await session?.member.close(how)
  }

  /** Waits, unless the thread is to close, the group wants something, or a task is ready. */
  async #pause(waitMs: number): Promise<void> {
    let hasChanged = false
    const changed = this.#buildings.changed.then(() => {
      hasChanged = true
    })
    // By what was slept, not by the clock, which may be set back.
    for (let leftMs = waitMs; leftMs > 0 && !hasChanged; leftMs -= pollWaitMsMax) {
      if (this.#closing.signal.aborted || this.#session?.hasRequests === true) return
      await Promise.race([sleep(Math.min(leftMs, pollWaitMsMax)), changed])
    }
  }
}

function hasWork({ task, starved }: ActiveTask): boolean {
  return task.bufferedBytes > 0 && !starved
}

function resumeInputs(active: ActiveTask, fetcher: Fetcher): void {
  for (const input of active.inputs) {
    if (!input.paused) continue
    input.paused = false
    fetcher.resume(input)
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
