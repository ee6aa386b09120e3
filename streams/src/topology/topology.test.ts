import { expect, describe as group, test } from 'vitest'
import { count } from '../aggregate/count.ts'
import { int64 } from '../aggregate/numbers.ts'
import { json, utf8 } from '../core/serde.ts'
import { StreamsBuilder } from '../dsl/streams-builder.ts'
import { PeekProcessor } from '../processor/peek.ts'
import { hoppingWindows, tumblingWindows } from '../windows/time-windows.ts'
import { buildTopology, type TopologyParts } from './build-topology.ts'
import { describe } from './describe.ts'
import { partitionPlan } from './partition-plan.ts'
import { topicNames } from './topic-names.ts'
import type { SinkNode, SourceNode, StoreSpec, TopologyNode } from './topology.ts'

const texts = { key: utf8, value: utf8 }

function wordCount(): StreamsBuilder {
  const builder = new StreamsBuilder()
  builder
    .stream('streams-plaintext-input', texts)
    .flatMapValues((line) => line.toLowerCase().split(/\W+/))
    .groupBy((word) => word, texts)
    .count({ store: 'counts-store' })
    .toStream()
    .to('streams-wordcount-output', { value: int64 })
  return builder
}

group('describe', () => {
  test('prints the word count as Kafka Streams does, generated names included', () => {
    expect(describe(wordCount().build())).toMatchInlineSnapshot(`
      "Topologies:
         Sub-topology: 0
          Source: KSTREAM-SOURCE-0000000000 (topics: [streams-plaintext-input])
            --> KSTREAM-FLATMAPVALUES-0000000001
          Processor: KSTREAM-FLATMAPVALUES-0000000001 (stores: [])
            --> KSTREAM-KEY-SELECT-0000000002
            <-- KSTREAM-SOURCE-0000000000
          Processor: KSTREAM-KEY-SELECT-0000000002 (stores: [])
            --> counts-store-repartition-filter
            <-- KSTREAM-FLATMAPVALUES-0000000001
          Processor: counts-store-repartition-filter (stores: [])
            --> counts-store-repartition-sink
            <-- KSTREAM-KEY-SELECT-0000000002
          Sink: counts-store-repartition-sink (topic: counts-store-repartition)
            <-- counts-store-repartition-filter

         Sub-topology: 1
          Source: counts-store-repartition-source (topics: [counts-store-repartition])
            --> KSTREAM-AGGREGATE-0000000003
          Processor: KSTREAM-AGGREGATE-0000000003 (stores: [counts-store])
            --> KTABLE-TOSTREAM-0000000007
            <-- counts-store-repartition-source
          Processor: KTABLE-TOSTREAM-0000000007 (stores: [])
            --> KSTREAM-SINK-0000000008
            <-- KSTREAM-AGGREGATE-0000000003
          Sink: KSTREAM-SINK-0000000008 (topic: streams-wordcount-output)
            <-- KTABLE-TOSTREAM-0000000007
      "
    `)
  })

  test('prints windows, partials, branches and named repartitions', () => {
    const builder = new StreamsBuilder()
    const events = builder.stream('events', texts)
    const [clicks, others] = events.split(
      (type) => type === 'click',
      () => true,
    )
    clicks
      ?.groupByKey()
      .windowedBy(hoppingWindows({ sizeMs: 10, advanceMs: 5, graceMs: 0 }))
      .count()
      .toStream()
      .to('clicks', { value: int64 })
    const byType = others?.groupBy((type) => type, { key: utf8, name: 'by-type' })
    byType?.reduce((_, last) => last, { store: 'last', value: utf8 })
    byType?.aggregate(count(), { store: 'number' })
    const partials = events.groupByKey().preAggregate({ name: 'partials', windowSizeMs: 10, aggregator: count() })
    for (const sizeMs of [10, 20])
      partials
        .windowedBy(tumblingWindows({ sizeMs, graceMs: 5 }))
        .merge({ store: `per-${sizeMs}`, emit: 'close' })
        .results()
        .to('results', { value: json() })
    expect(describe(builder.build())).toMatchInlineSnapshot(`
      "Topologies:
         Sub-topology: 0
          Source: KSTREAM-SOURCE-0000000000 (topics: [events])
            --> KSTREAM-BRANCH-0000000001, KSTREAM-BRANCH-0000000002, partials-pre-aggregate
          Processor: KSTREAM-BRANCH-0000000001 (stores: [])
            --> KSTREAM-AGGREGATE-0000000004
            <-- KSTREAM-SOURCE-0000000000
          Processor: KSTREAM-BRANCH-0000000002 (stores: [])
            --> KSTREAM-KEY-SELECT-0000000007
            <-- KSTREAM-SOURCE-0000000000
          Processor: KSTREAM-AGGREGATE-0000000004 (stores: [KSTREAM-AGGREGATE-STATE-STORE-0000000003])
            --> KTABLE-TOSTREAM-0000000005
            <-- KSTREAM-BRANCH-0000000001
          Processor: KTABLE-TOSTREAM-0000000005 (stores: [])
            --> KSTREAM-SINK-0000000006
            <-- KSTREAM-AGGREGATE-0000000004
          Sink: KSTREAM-SINK-0000000006 (topic: clicks)
            <-- KTABLE-TOSTREAM-0000000005
          Processor: KSTREAM-KEY-SELECT-0000000007 (stores: [])
            --> by-type-repartition-filter
            <-- KSTREAM-BRANCH-0000000002
          Processor: by-type-repartition-filter (stores: [])
            --> by-type-repartition-sink
            <-- KSTREAM-KEY-SELECT-0000000007
          Sink: by-type-repartition-sink (topic: by-type-repartition)
            <-- by-type-repartition-filter
          Processor: partials-pre-aggregate (stores: [])
            --> partials-repartition-sink
            <-- KSTREAM-SOURCE-0000000000
          Sink: partials-repartition-sink (topic: partials-repartition)
            <-- partials-pre-aggregate

         Sub-topology: 1
          Source: by-type-repartition-source (topics: [by-type-repartition])
            --> KSTREAM-REDUCE-0000000008, KSTREAM-AGGREGATE-0000000012
          Processor: KSTREAM-REDUCE-0000000008 (stores: [last])
            --> none
            <-- by-type-repartition-source
          Processor: KSTREAM-AGGREGATE-0000000012 (stores: [number])
            --> none
            <-- by-type-repartition-source

         Sub-topology: 2
          Source: partials-repartition-source (topics: [partials-repartition])
            --> KSTREAM-MERGE-WINDOWS-0000000016, KSTREAM-MERGE-WINDOWS-0000000019
          Processor: KSTREAM-MERGE-WINDOWS-0000000016 (stores: [per-10])
            --> KTABLE-TOSTREAM-0000000017
            <-- partials-repartition-source
          Processor: KTABLE-TOSTREAM-0000000017 (stores: [])
            --> KSTREAM-SINK-0000000018
            <-- KSTREAM-MERGE-WINDOWS-0000000016
          Sink: KSTREAM-SINK-0000000018 (topic: results)
            <-- KTABLE-TOSTREAM-0000000017
          Processor: KSTREAM-MERGE-WINDOWS-0000000019 (stores: [per-20])
            --> KTABLE-TOSTREAM-0000000020
            <-- partials-repartition-source
          Processor: KTABLE-TOSTREAM-0000000020 (stores: [])
            --> KSTREAM-SINK-0000000021
            <-- KSTREAM-MERGE-WINDOWS-0000000019
          Sink: KSTREAM-SINK-0000000021 (topic: results)
            <-- KTABLE-TOSTREAM-0000000020
      "
    `)
  })
})

test('a topology is frozen', () => {
  const topology = wordCount().build()
  const [first] = topology.subtopologies
  expect(
    [topology, topology.subtopologies, first, first?.nodes, first?.nodes[0], topology.internalTopics].every(
      Object.isFrozen,
    ),
  ).toBe(true)
})

group('what is wrong is said all at once', () => {
  test('by the DSL', () => {
    const builder = new StreamsBuilder()
    const changed = builder.stream('in', texts).map((value) => ({ key: value.length, value: value.length }))
    changed.to('out')
    changed.groupByKey().count({ store: 'a store' })
    changed
      .groupBy((length) => `${length}`, { key: utf8 })
      .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 5 }))
      .count({ store: 'short', retentionMs: 14 })
    const partials = changed
      .groupBy((length) => `${length}`, { key: utf8 })
      .preAggregate({ name: 'p', windowSizeMs: 4, aggregator: count() })
    partials.windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 })).merge({ store: 'merged' })
    expect(() => builder.build()).toThrowErrorMatchingInlineSnapshot(`
      [StreamsError: [INVALID_TOPOLOGY] 11 faults:
        - sink "KSTREAM-SINK-0000000002" to topic "out": the serde of its keys is not known here: give it as { key: … }
        - sink "KSTREAM-SINK-0000000002" to topic "out": the serde of its values is not known here: give it as { value: … }
        - repartition "a store": the serde of its keys is not known here: give it as { key: … }
        - repartition "a store": the serde of its values is not known here: give it as { value: … }
        - store "a store": the serde of its keys is not known here: give it as { key: … }
        - repartition "short": the serde of its values is not known here: give it as { value: … }
        - store "short": retentionMs must be a whole number from size + grace (15) on, not 14
        - windows over "p": sizeMs must be a multiple of 4 ms, not 10
        - windows over "p": advanceMs must be a multiple of 4 ms, not 10
        - store "a store": a name has 1 to 185 letters, digits, dots, underscores or hyphens
        - repartition "a store": a name has 1 to 185 letters, digits, dots, underscores or hyphens]
    `)
  })

  const source: SourceNode = {
    kind: 'source',
    name: 's',
    topic: 'in',
    internal: false,
    keySerde: utf8,
    valueSerde: utf8,
    offsetReset: 'earliest',
    watermarks: false,
  }
  const sink: SinkNode = {
    kind: 'sink',
    name: 'k',
    parents: ['s'],
    topic: 'out',
    internal: false,
    keySerde: utf8,
    valueSerde: utf8,
    watermarks: false,
  }
  const store: StoreSpec = {
    name: 'rows',
    kind: 'key-value',
    timestamped: true,
    windowSizeMs: undefined,
    retentionMs: undefined,
    changelog: true,
  }
  const parts: TopologyParts = { nodes: [source, sink], stores: [], internalTopics: [] }

  function processor(name: string, parents: readonly string[], stores: readonly string[]): TopologyNode {
    return { kind: 'processor', name, parents, stores, create: () => new PeekProcessor() }
  }

  test.each<[string, Partial<TopologyParts>]>([
    ['it has no source', { nodes: [] }],
    ['topic "in" is read by more than one source', { nodes: [source, { ...source, name: 't' }, sink] }],
    ['the name "s" is given to more than one node', { nodes: [source, { ...sink, name: 's' }] }],
    ['node "k" follows "none", which was not added before it', { nodes: [source, { ...sink, parents: ['none'] }] }],
    ['node "k" has no parent', { nodes: [source, { ...sink, parents: [] }] }],
    ['node "p" uses the store "rows", which was not added', { nodes: [source, processor('p', ['s'], ['rows'])] }],
    ['the store "rows" is used by no node', { stores: [store] }],
    [
      'the store name "rows" is given to more than one store',
      { nodes: [source, processor('p', ['s'], ['rows'])], stores: [store, store] },
    ],
    [
      'the window store "rows" keeps rows for 5 ms, less than a window of 10 ms',
      {
        nodes: [source, processor('p', ['s'], ['rows'])],
        stores: [{ ...store, kind: 'window', windowSizeMs: 10, retentionMs: 5 }],
      },
    ],
    ['node "s": topic "a b": a name has 1 to 249 letters', { nodes: [{ ...source, topic: 'a b' }, sink] }],
    ['node "k": topic "": a name has', { nodes: [source, { ...sink, topic: '' }] }],
    ['nothing writes to the repartition "r"', { internalTopics: [{ name: 'r', partitions: undefined }] }],
    ['the repartition "r" cannot have 0 partitions', { internalTopics: [{ name: 'r', partitions: 0 }] }],
    ['the repartition "r" was not added', { nodes: [source, { ...sink, topic: 'r', internal: true }] }],
    [
      'some ends of the repartition "r" have watermarks and some have not',
      {
        nodes: [
          source,
          { ...sink, topic: 'r', internal: true, watermarks: true },
          { ...source, name: 'r', topic: 'r', internal: true },
        ],
        internalTopics: [{ name: 'r', partitions: undefined }],
      },
    ],
    [
      'it has 41 nodes with stores; at most 40 are allowed',
      {
        nodes: [source, ...Array.from({ length: 41 }, (_, i) => processor(`p${i}`, ['s'], [`s${i}`]))],
        stores: Array.from({ length: 41 }, (_, i) => ({ ...store, name: `s${i}` })),
      },
    ],
  ])('%s', (fault, changes) => {
    expect(() => buildTopology({ ...parts, ...changes })).toThrow(fault)
  })

  test('nothing, when nothing is wrong', () => {
    expect(buildTopology(parts).subtopologies).toHaveLength(1)
  })
})

group('the plan of partitions', () => {
  const names = topicNames('app')
  const plan = partitionPlan(
    wordCount().build(),
    names,
    new Map([
      ['streams-plaintext-input', 3],
      ['streams-wordcount-output', 5],
    ]),
  )

  test('gives each subtopology as many tasks as its widest source, and repartitions as many partitions as what feeds them', () => {
    expect(plan.tasks).toEqual([3, 3])
    expect(plan.repartitions).toEqual(new Map([['app-counts-store-repartition', 3]]))
    expect(plan.partitionsOf('streams-wordcount-output')).toBe(5)
    expect(plan.writersOf('app-counts-store-repartition')).toEqual(
      [0, 1, 2].map((partition) => ({ subtopology: 0, partition })),
    )
  })

  test('takes the number that a repartition asks for', () => {
    const builder = new StreamsBuilder()
    builder.stream('in', texts).repartition({ name: 'wider', partitions: 8 }).to('out')
    const wider = partitionPlan(
      builder.build(),
      names,
      new Map([
        ['in', 2],
        ['out', 1],
      ]),
    )
    expect(wider.tasks).toEqual([2, 8])
  })

  test('counts a repartition whose records meet those it is made of', () => {
    const builder = new StreamsBuilder()
    const [some, others] = builder.stream('in', texts).split(
      (value) => value === 'a',
      () => true,
    )
    if (some === undefined || others === undefined) throw new Error('two branches expected')
    const moved = some.repartition({ name: 'once', ...texts }).repartition({ name: 'twice', ...texts })
    others.merge(moved).to('out', texts)
    const plan = partitionPlan(builder.build(), names, new Map(Object.entries({ in: 3, out: 1 })))
    expect(plan.repartitions).toEqual(
      new Map(Object.entries({ 'app-once-repartition': 3, 'app-twice-repartition': 3 })),
    )
    expect(plan.tasks).toEqual([3, 3])
  })

  test('names the topic that does not exist', () => {
    expect(() => partitionPlan(wordCount().build(), names, new Map())).toThrow(
      '[TOPIC_MISSING] topic "streams-plaintext-input" does not exist',
    )
  })
})
