import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Admin, StreamsApp, storeNames } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { openRocksDbStores } from '@millrace/streams/rocksdb'
import { type Admin as GroupAdmin, Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { eventually, required } from '../e2e/gateway-client.ts'
import { buildJvmProject, JvmProgram, type Row } from './jvm-program.ts'
import { kept, rowsOf, sorted } from './visit-rows.ts'
import { textOf, type Visit, visitTopology } from './visit-topology.ts'

const partitions = 2
const batchVisits = 150
const hourMs = 3_600_000
const brokers = required('MILLRACE_KAFKA_BROKERS')
const broker = connectKafka({ brokers: brokers.split(','), clientId: 'interop' })

let admin: Admin
let groups: GroupAdmin
let folder: string
let classPath: string

beforeAll(async () => {
  admin = await broker.openAdmin()
  // Every retry number is given: kafkajs changes its defaults when NODE_ENV is "test".
  const retry = { retries: 8, initialRetryTime: 300, maxRetryTime: 5_000, factor: 0.2, multiplier: 2 }
  groups = new Kafka({ clientId: 'interop', brokers: brokers.split(','), logLevel: logLevel.NOTHING, retry }).admin()
  await groups.connect()
  folder = await mkdtemp(join(tmpdir(), 'millrace-interop-'))
  classPath = await buildJvmProject(folder)
}, 180_000)
afterAll(async () => {
  await groups?.disconnect()
  await admin?.close()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

/** An application that two engines run in turns, each with an empty state directory. */
class SharedApplication {
  readonly #id = `visits-${randomUUID().slice(0, 8)}`
  readonly #input = `${this.#id}-input`
  readonly #visits: Visit[] = []
  readonly #startedMs = Date.now()

  async prepare(): Promise<void> {
    const config = { 'retention.ms': '-1' }
    await admin.createTopics([{ name: this.#input, partitions, replicationFactor: 1, config }])
  }

  /** Restores, counts more visits, closes. */
  async runOurs(): Promise<void> {
    const counted = new Map<string, number>()
    const topology = visitTopology(this.#input, (user, visits) => counted.set(user, visits))
    const directory = await mkdtemp(join(folder, 'ours-'))
    const stores = await openRocksDbStores({ directory, stores: storeNames(topology) })
    const app = new StreamsApp({
      topology,
      applicationId: this.#id,
      broker,
      stores,
      replicationFactor: 1,
    })
    onTestFinished(async () => {
      await app.close()
      await stores.close()
    })
    await app.start()
    const failed = app.failed.then((error) => Promise.reject(error))
    const users = new Set((await this.#visit()).map(({ user }) => user))
    const rows = rowsOf(this.#visits).filter(({ store, key }) => store === 'visits-per-user' && users.has(key))
    const expected = Object.fromEntries(rows.map(({ key, value }) => [key, value]))
    const all = eventually(
      40_000,
      () => Promise.resolve(Object.fromEntries(counted)),
      (found) => expect(found).toEqual(expected),
    )
    await Promise.race([all, failed])
    await app.close()
    await stores.close()
    await this.#isLeft()
  }

  /** The same by Kafka Streams, whose interactive queries say what was restored and what comes of it. */
  async runTheirs(): Promise<void> {
    const directory = await mkdtemp(join(folder, 'theirs-'))
    const app = new JvmProgram(classPath, 'VisitApplication', [brokers, this.#id, this.#input, directory])
    onTestFinished(() => app.kill())
    await app.said('running')
    const expectRows = () =>
      eventually(
        40_000,
        () => app.askForRows(),
        (rows) => this.#expectRows(rows),
      )
    if (this.#visits.length > 0) await expectRows()
    await this.#visit()
    await expectRows()
    expect(await app.close()).toBe(0)
    await this.#isLeft()
  }

  /** The changelog topics, as Kafka Streams' deserialisers read them, say what the visits amount to. */
  async expectChangelogs(): Promise<void> {
    const reader = new JvmProgram(classPath, 'ChangelogRows', [brokers, this.#id])
    onTestFinished(() => reader.kill())
    this.#expectRows(kept(await reader.nextRows(), this.#visits))
    expect(await reader.close()).toBe(0)
  }

  #expectRows(rows: readonly Row[]): void {
    const expected = rowsOf(this.#visits)
    expect(expected.length).toBeGreaterThan(0)
    expect(sorted(rows).map((row) => this.#comparable(row))).toEqual(expected.map((row) => this.#comparable(row)))
  }

  /**
   * Without the timestamp of rows that are half a day old: in the changelog of a window store such a row has the time at which we wrote it, lest
   * the broker delete it by age, and its own in a header of ours (runtime/changelog-record.ts).
   */
  #comparable(row: Row): Row {
    const isOld = row.startMs >= 0 && row.startMs < this.#startedMs - 24 * hourMs
    return isOld ? { ...row, timestamp: 0 } : row
  }

  /** A batch of visits, a second apart and up to a minute and a half out of order; the first ones of all came two days before. */
  async #visit(): Promise<readonly Visit[]> {
    const fresh: Visit[] = []
    for (let sent = this.#visits.length; fresh.length < batchVisits; sent++) {
      const daysAgo = sent < 30 ? 2 : 0
      fresh.push({
        page: ['/', '/prices', '/über-uns', '/docs', '/blog'][(sent * 7) % 5] ?? '',
        user: `user-${(sent * 5) % 11}`,
        // One batch takes back what the one before did: a row of `present` comes and goes by turns.
        kind: (Math.floor(sent / batchVisits) + (sent % 5)) % 2 === 0 ? 'in' : 'out',
        amount: 0.5 * (1 + (sent % 9)),
        atMs: this.#startedMs - hourMs / 4 - daysAgo * 24 * hourMs + sent * 1_000 - ((sent * 37) % 90) * 1_000,
      })
      this.#visits.push(...fresh.slice(-1))
    }
    const producer = await broker.openProducer({ clientId: 'interop' })
    await producer.send(
      fresh.map((visit) => ({
        topic: this.#input,
        partition: ['/', '/docs'].includes(visit.page) ? 0 : 1,
        key: Buffer.from(visit.page),
        value: Buffer.from(textOf(visit)),
        timestamp: visit.atMs,
      })),
    )
    await producer.close()
    return fresh
  }

  /** The two have different assignment protocols: one joins when no member of the other is left. */
  async #isLeft(): Promise<void> {
    await eventually(
      20_000,
      () => groups.describeGroups([this.#id]),
      (found) => expect(found.groups[0]?.state).toMatch(/^(?:Empty|Dead)$/),
    )
  }
}

it('Kafka Streams restores what we counted and counts on from our offsets, and we go on from there', async () => {
  const application = new SharedApplication()
  await application.prepare()
  await application.runOurs()
  await application.expectChangelogs()
  await application.runTheirs()
  await application.expectChangelogs()
  await application.runOurs()
  await application.expectChangelogs()
}, 180_000)

it('we restore what Kafka Streams counted and count on from its offsets, and it goes on from there', async () => {
  const application = new SharedApplication()
  await application.prepare()
  await application.runTheirs()
  await application.runOurs()
  await application.expectChangelogs()
  await application.runTheirs()
}, 180_000)
