import {
  type GroupAssignment,
  type GroupListener,
  type GroupMember,
  type GroupView,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'

/** Partitions that the group takes back, and what to call when that is done: the rebalance waits for it. */
export interface GroupRequest {
  readonly kind: 'revoked' | 'lost'
  readonly partitions: readonly TopicPartition[]
  readonly done: () => void
}

/**
 * A membership of the group, between the member, which calls whenever it likes, and the thread, which looks at the requests when it is between
 * two records. What is assigned is only noted: rebuilding state may take longer than a rebalance may wait. What is not taken back stays, and is
 * processed on while the group rebalances.
 */
export class GroupSession implements GroupListener {
  readonly member: GroupMember
  readonly #assigned = new Map<string, TopicPartition>()
  readonly #requests: GroupRequest[] = []
  /** Why the membership cannot go on; undefined while it can. */
  failure: unknown
  /** The whole group as it was divided last; undefined before the first assignment. */
  view: GroupView | undefined
  /** Partition numbers that this member is to keep warm. */
  standbys: readonly number[] = []
  #isSettled = false
  #ended = false

  constructor(member: GroupMember) {
    this.member = member
    void member.failed.then((error) => {
      this.failure ??= error
    })
  }

  /** Joins, without waiting for it. */
  join(topics: readonly string[]): void {
    this.member.join(topics, this).catch((error: unknown) => {
      this.failure ??= error
    })
  }

  /** What is ours now. */
  get assigned(): readonly TopicPartition[] {
    return [...this.#assigned.values()]
  }

  /** False before the first assignment, which may be empty, and when everything was taken back: another assignment follows. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  get hasRequests(): boolean {
    return this.#requests.length > 0
  }

  nextRequest(): GroupRequest | undefined {
    return this.#requests.shift()
  }

  /** No more requests are taken: the member may close. */
  end(): void {
    this.#ended = true
    for (let request = this.#requests.shift(); request !== undefined; request = this.#requests.shift()) request.done()
  }

  async onAssigned(partitions: readonly TopicPartition[], group: GroupAssignment): Promise<void> {
    this.#isSettled = true
    this.view = group.view
    this.standbys = group.standbys
    for (const partition of partitions) this.#assigned.set(partitionKey(partition), partition)
  }

  onRevoked(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#request('revoked', partitions)
  }

  onLost(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#request('lost', partitions)
  }

  async #request(kind: 'revoked' | 'lost', partitions: readonly TopicPartition[]): Promise<void> {
    for (const partition of partitions) this.#assigned.delete(partitionKey(partition))
    if (this.#assigned.size === 0) this.#isSettled = false
    if (kind === 'lost') this.standbys = []
    if (this.#ended || partitions.length === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#requests.push({ kind, partitions, done: resolve })
    await promise
  }
}
