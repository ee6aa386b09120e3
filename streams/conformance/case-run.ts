import { hasCode, json } from '@millrace/streams'
import { ManualClock, TopologyDriver } from '@millrace/streams/testing'
import { CaseError } from './case-error.ts'
import type { CaseConfig, ConformanceCase, RecordInput } from './case-format.ts'
import { caseValue } from './case-serdes.ts'
import { queryRows, storeRows } from './case-stores.ts'
import { buildCase, type CaseTopology } from './case-topology.ts'
import type { Json } from './json.ts'

/** What a case gave. */
export interface CaseResult {
  readonly outputs: Readonly<Record<string, readonly Json[]>>
  readonly stores: Readonly<Record<string, readonly Json[]>>
  readonly queries: readonly Json[]
  readonly dropped: number
  /** The input that stopped the application, or `build`. */
  readonly errorAt: number | 'build' | undefined
  /** What stopped it. */
  readonly error: unknown
}

/** Builds the case's topology and feeds it. Throws `CaseError` for a case that is not as the format says. */
export async function runCase(of: ConformanceCase): Promise<CaseResult> {
  let built: CaseTopology
  let driver: TopologyDriver
  const clock = new ManualClock()
  try {
    built = buildCase(of.topology, of.config)
    driver = new TopologyDriver(built.topology, { clock, onFailure: policyOf(of.config) })
  } catch (error) {
    if (!hasCode(error, 'INVALID_TOPOLOGY')) throw error
    return { outputs: {}, stores: {}, queries: [], dropped: 0, errorAt: 'build', error }
  }
  const run = new CaseRun(driver, built, clock)
  try {
    return await run.feed(of)
  } finally {
    await driver.close()
  }
}

function policyOf({ deserialization }: CaseConfig): (stage: string) => 'fail' | 'skip' {
  return (stage) => (stage === 'deserialization' && deserialization === 'continue' ? 'skip' : 'fail')
}

class CaseRun {
  readonly #driver: TopologyDriver
  readonly #built: CaseTopology
  readonly #clock: ManualClock
  readonly #outputs: Record<string, Json[]>
  readonly #queries: Json[] = []

  constructor(driver: TopologyDriver, built: CaseTopology, clock: ManualClock) {
    this.#driver = driver
    this.#built = built
    this.#clock = clock
    this.#outputs = Object.fromEntries(built.outputs.map((topic) => [topic, []]))
  }

  async feed({ inputs }: ConformanceCase): Promise<CaseResult> {
    for (const [at, input] of inputs.entries()) {
      if (input.kind === 'advance') this.#clock.advance(input.ms)
      else if (input.kind === 'query') this.#queries.push(await queryRows(this.#driver, this.#built, input.query))
      else {
        try {
          await this.#pipe(input)
        } catch (error) {
          if (error instanceof CaseError) throw error
          return { ...this.#result({}), errorAt: at, error }
        }
        this.#collect(at, input.topic)
      }
    }
    const stores: Record<string, readonly Json[]> = {}
    for (const store of this.#built.stores.keys()) stores[store] = await storeRows(this.#driver, this.#built, store)
    return this.#result(stores)
  }

  #result(stores: Readonly<Record<string, readonly Json[]>>): CaseResult {
    const [outputs, queries] = [this.#outputs, this.#queries]
    return { outputs, stores, queries, dropped: this.#dropped(), errorAt: undefined, error: undefined }
  }

  async #pipe({ topic, key, value, raw, timestamp, headers }: RecordInput): Promise<void> {
    await this.#driver.pipeBytes(topic, {
      key: key === null ? null : Buffer.from(key),
      value: raw === undefined ? (value === null ? null : caseValue.write(value)) : Buffer.from(raw),
      timestamp,
      headers: headers.map(([name, text]) => ({ key: name, value: Buffer.from(text) })),
    })
  }

  /** Takes what an input caused. Where the input's own topic is an output, too, its record is the first to be read. */
  #collect(at: number, inputTopic: string): void {
    for (const topic of this.#built.outputs) {
      const records = this.#driver.read(topic, { key: json<Json>(), value: json<Json>() })
      for (const record of topic === inputTopic ? records.slice(1) : records) {
        const { key, value, timestamp, headers } = record
        const output = { at, key, value, ts: timestamp }
        const texts = headers.map((header) => [header.key, header.value?.toString() ?? null])
        this.#outputs[topic]?.push(texts.length === 0 ? output : { ...output, headers: texts })
      }
    }
  }

  /** Kafka Streams does not count what a repartition drops. */
  #dropped(): number {
    let dropped = 0
    for (const [reason, records] of this.#driver.dropped) if (reason !== 'null-key-repartition') dropped += records
    return dropped
  }
}
