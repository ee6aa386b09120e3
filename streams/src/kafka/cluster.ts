import { isIP } from 'node:net'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { apiVersionsV3, Connection, findCoordinatorV4, metadataV12 } from '@platformatic/kafka'
import type { TopicPartition } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { kafkaLimits } from './limits.ts'
import { errorCode, isPassing, refusal, requireNone, responseOf, translate } from './protocol-error.ts'
import { retrying } from './retry.ts'

/** Credentials for SASL. */
export interface SaslOptions {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
  readonly username?: string
  readonly password?: string
  /** For OAUTHBEARER: asked again for every connection and reauthentication. */
  readonly token?: () => string | Promise<string>
}

/** How to reach a cluster. */
export interface ClusterOptions {
  /** `host:port` of brokers to begin with; the others are found through them. */
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Options of node:tls; an empty object for TLS with the system's certificates. Without it, connections are plain. */
  readonly tls?: TlsOptions
  readonly sasl?: SaslOptions
  /** Where to reach a broker instead of its advertised address, for tunnels and proxies. */
  readonly reach?: (advertised: { readonly host: string; readonly port: number }) => {
    readonly host: string
    readonly port: number
  }
  /** Jitters the waits between attempts. */
  readonly random?: () => number
}

/** What the cluster says of a topic. */
export interface TopicMetadata {
  readonly name: string
  readonly id: string
  readonly partitions: readonly { readonly leaderId: number; readonly leaderEpoch: number }[]
}

/**
 * What a connection is for. A broker answers the requests of one connection in order, so that whatever waits at the broker (a fetch, a join)
 * needs one of its own, and so does what must not wait: a heartbeat.
 */
export type ConnectionPurpose = 'control' | 'produce' | 'fetch' | 'tail' | 'join' | 'heartbeat'

/** How long a group member waits for its coordinator. */
export interface GroupTimeouts {
  /** How long a join may wait at the broker. */
  readonly joinTimeoutMs: number
  /** How long a heartbeat may take, its connection included; well below the session timeout, so that there is time for another attempt. */
  readonly heartbeatTimeoutMs: number
}

interface Address {
  readonly host: string
  readonly port: number
}

/** One client's view of the cluster: who leads what, and its connections, at most one per broker and purpose. */
export class Cluster {
  readonly signal: AbortSignal
  readonly random: () => number
  readonly #options: ClusterOptions
  readonly #bootstrap: readonly Address[]
  readonly #closing = new AbortController()
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #addresses = new Map<number, Address>()
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #requestTimeoutMs: Readonly<Record<ConnectionPurpose, number>>
  /** When brokers could not be reached the last time. */
  readonly #failedMs = new Map<string, number>()
  #turn = 0

  constructor(options: ClusterOptions, group: Partial<GroupTimeouts> = {}) {
    this.#options = options
    this.#bootstrap = options.brokers.map(parseAddress)
    if (this.#bootstrap.length === 0)
      throw new StreamsError('INVALID_CONFIG', 'brokers is empty: give at least one host:port')
    this.random = options.random ?? Math.random
    this.signal = this.#closing.signal
    const { requestTimeoutMs, produceTimeoutMs } = kafkaLimits
    this.#requestTimeoutMs = {
      control: requestTimeoutMs,
      produce: produceTimeoutMs,
      fetch: requestTimeoutMs,
      tail: requestTimeoutMs,
      join: requestTimeoutMs + (group.joinTimeoutMs ?? 0),
      heartbeat: Math.min(requestTimeoutMs, group.heartbeatTimeoutMs ?? requestTimeoutMs),
    }
  }

  /** What is known of a topic, without asking. */
  known(topic: string): TopicMetadata | undefined {
    return this.#topics.get(topic)
  }

  /** The broker that leads a partition, as far as is known; undefined when there is none at the moment. */
  leaderOf({ topic, partition }: TopicPartition): number | undefined {
    const leaderId = this.#topics.get(topic)?.partitions[partition]?.leaderId
    return leaderId === undefined || leaderId < 0 ? undefined : leaderId
  }

  /** Asks the cluster about topics. Those that do not exist are absent from the result, and forgotten. */
  async refresh(topics: readonly string[]): Promise<ReadonlyMap<string, TopicMetadata>> {
    const connection = await this.any()
    return this.#learn(topics, await this.metadata(connection, topics))
  }

  /** The topics' metadata as one broker knows it, not remembered. */
  async metadata(connection: Connection, topics: readonly string[]): Promise<metadataV12.MetadataResponse> {
    return responseOf(metadataV12.api.async(connection, [...topics], false), 'reading metadata')
  }

  /** Metadata of a topic that must exist; throws `TOPIC_MISSING` once it is unknown for a while. */
  async require(topic: string): Promise<TopicMetadata> {
    const startMs = performance.now()
    return this.retrying(`reading metadata of topic ${topic}`, async () => {
      const found = this.#topics.get(topic) ?? (await this.refresh([topic])).get(topic)
      if (found !== undefined) return found
      const code =
        performance.now() - startMs > kafkaLimits.topicMissingAfterMs ? 'TOPIC_MISSING' : 'BROKER_UNAVAILABLE'
      throw new StreamsError(code, `topic ${topic} does not exist in the cluster`, { topic })
    })
  }

  /** Repeats `action` while brokers are unavailable, up to the operation deadline. */
  retrying<T>(
    what: string,
    action: () => Promise<T>,
    deadlineMs: number = kafkaLimits.operationDeadlineMs,
  ): Promise<T> {
    return retrying({ what, deadlineMs, signal: this.signal, random: this.random }, action)
  }

  /** The broker that coordinates a group or a transactional id; asked anew each time. Throws `BROKER_UNAVAILABLE` while there is none. */
  async findCoordinator(of: 'group' | 'transaction', key: string): Promise<number> {
    const what = `finding the coordinator of ${of} ${key}`
    const response = await responseOf(
      findCoordinatorV4.api.async(await this.any(), of === 'group' ? 0 : 1, [key]),
      what,
    )
    const found = response.coordinators[0]
    if (found === undefined) throw new StreamsError('BROKER_REFUSED', `${what}: the answer is empty`)
    requireNone(found.errorCode, what)
    this.#addresses.set(found.nodeId, { host: found.host, port: found.port })
    return found.nodeId
  }

  /** True when the cluster has finalised transactions of version 2 (KIP-890), where every transaction has an epoch of its own. */
  async hasTransactionsV2(nodeId: number): Promise<boolean> {
    const connection = await this.connection(nodeId, 'control')
    const { finalizedFeatures } = await responseOf(
      apiVersionsV3.api.async(connection, 'millrace', '1'),
      'reading API versions',
    )
    return (finalizedFeatures ?? []).some(
      ({ name, maxVersionLevel }) => name === 'transaction.version' && maxVersionLevel >= 2,
    )
  }

  /** All brokers that are known. */
  brokerIds(): readonly number[] {
    return [...this.#addresses.keys()]
  }

  /** A broker has not answered: whatever any broker can do is asked of the others first for a while. */
  avoid(nodeId: number): void {
    const address = this.#addresses.get(nodeId)
    if (address !== undefined) this.#failedMs.set(keyOf(address), performance.now())
  }

  /** A connection to a broker; opened when there is none. Throws `BROKER_UNAVAILABLE`. */
  connection(nodeId: number, purpose: ConnectionPurpose): Promise<Connection> {
    const address = this.#addresses.get(nodeId)
    if (address === undefined)
      return Promise.reject(new StreamsError('BROKER_UNAVAILABLE', `broker ${nodeId} is not in the cluster's metadata`))
    return this.#connectionTo(`${nodeId}/${purpose}`, address, purpose)
  }

  /** A connection to any broker: known ones in turn, then those to begin with; those that failed a moment ago at last. */
  async any(): Promise<Connection> {
    const candidates = [...this.#addresses.values(), ...this.#bootstrap]
    const turn = this.#turn++ % candidates.length
    const inTurn = [...candidates.slice(turn), ...candidates.slice(0, turn)]
    const failedAfterMs = performance.now() - kafkaLimits.avoidFailedForMs
    const hasFailed = (address: Address) => (this.#failedMs.get(keyOf(address)) ?? 0) > failedAfterMs
    let failure: StreamsError | undefined
    for (const address of [...inTurn.filter((one) => !hasFailed(one)), ...inTurn.filter(hasFailed)]) {
      try {
        return await this.#connectionTo(keyOf(address), address, 'control')
      } catch (error) {
        this.#failedMs.set(keyOf(address), performance.now())
        failure = translate(error, `connecting to ${keyOf(address)}`)
        if (failure.code !== 'BROKER_UNAVAILABLE') throw failure
      }
    }
    const why = failure === undefined ? '' : ` (${failure.message})`
    throw new StreamsError('BROKER_UNAVAILABLE', `none of ${this.#options.brokers.join(', ')} can be reached${why}`, {
      cause: failure,
    })
  }

  /** Ends waits and closes every connection; idempotent. Requests in flight fail with `BROKER_UNAVAILABLE`. */
  async close(): Promise<void> {
    this.#closing.abort()
    const connections = [...this.#connections.values()]
    this.#connections.clear()
    await Promise.allSettled(connections.map(async (connection) => (await connection).close()))
  }

  #learn(asked: readonly string[], response: metadataV12.MetadataResponse): ReadonlyMap<string, TopicMetadata> {
    this.#addresses.clear()
    for (const { nodeId, host, port } of response.brokers) this.#addresses.set(nodeId, { host, port })
    const found = new Map<string, TopicMetadata>()
    for (const topic of response.topics) {
      const name = topic.name ?? ''
      if (topic.errorCode !== errorCode.none && !isPassing(topic.errorCode)) {
        throw refusal(topic.errorCode, `reading metadata of topic ${name}`, { topic: name })
      }
      if (topic.errorCode !== errorCode.none) continue
      const partitions = topic.partitions
        .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
        .map(({ leaderId, leaderEpoch }) => ({ leaderId, leaderEpoch }))
      found.set(name, { name, id: topic.topicId, partitions })
    }
    for (const name of asked) {
      const topic = found.get(name)
      if (topic === undefined) this.#topics.delete(name)
      else this.#topics.set(name, topic)
    }
    return found
  }

  #connectionTo(key: string, address: Address, purpose: ConnectionPurpose): Promise<Connection> {
    if (this.signal.aborted) return Promise.reject(new StreamsError('CLOSED', 'the client is closed'))
    const known = this.#connections.get(key)
    if (known !== undefined) return known
    const opening = this.#open(address, purpose, () => {
      if (this.#connections.get(key) === opening) this.#connections.delete(key)
    })
    this.#connections.set(key, opening)
    return opening
  }

  async #open(address: Address, purpose: ConnectionPurpose, forget: () => void): Promise<Connection> {
    const { clientId, tls, sasl, reach } = this.#options
    const { host, port } = reach?.(address) ?? address
    const connection = new Connection(clientId, {
      connectTimeout: Math.min(kafkaLimits.connectTimeoutMs, this.#requestTimeoutMs[purpose]),
      requestTimeout: this.#requestTimeoutMs[purpose],
      maxInflights: kafkaLimits.inFlightMax,
      ...(tls === undefined ? {} : { tls, tlsServerName: isIP(host) === 0 }),
      ...(sasl === undefined ? {} : { sasl }),
    })
    connection.on('error', forget)
    connection.on('close', forget)
    try {
      await connection.connect(host, port)
      return connection
    } catch (error) {
      forget()
      throw translate(error, `connecting to ${host}:${port}`)
    }
  }
}

function keyOf({ host, port }: Address): string {
  return `${host}:${port}`
}

function parseAddress(text: string): Address {
  const match = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(text.trim())
  const [host, port] = [match?.[1], Number(match?.[2])]
  if (host === undefined || !(port > 0 && port < 65_536)) {
    throw new StreamsError('INVALID_CONFIG', `brokers: "${text}" is not host:port`)
  }
  return { host, port }
}
