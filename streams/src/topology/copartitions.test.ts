import { describe, expect, it } from 'vitest'
import { utf8 } from '../core/serde.ts'
import { PeekProcessor } from '../processor/peek.ts'
import { copartitionsOf } from './copartitions.ts'
import { partitionPlan } from './partition-plan.ts'
import { topicNames } from './topic-names.ts'
import type { ProcessorNode, SinkNode, SourceNode, StoreSpec, Topology } from './topology.ts'

const serdes = { keySerde: utf8, valueSerde: utf8 } as const
const names = topicNames('app')

function source(topic: string, internal = false): SourceNode {
  return {
    kind: 'source',
    name: `from-${topic}`,
    topic,
    internal,
    offsetReset: 'earliest',
    watermarks: false,
    ...serdes,
  }
}

function node(name: string, parents: readonly string[], stores: readonly string[]): ProcessorNode {
  return { kind: 'processor', name, parents, stores, create: () => new PeekProcessor(() => {}) }
}

function sink(topic: string, parents: readonly string[]): SinkNode {
  return { kind: 'sink', name: `to-${topic}`, parents, topic, internal: true, watermarks: false, ...serdes }
}

function store(name: string): StoreSpec {
  return {
    name,
    kind: 'key-value',
    timestamped: true,
    windowSizeMs: undefined,
    retentionMs: undefined,
    changelog: true,
  }
}

/** `clicks` is joined with the table of `users`, whose node shares the store with the join's; `other` goes by itself. */
const joined = {
  id: 0,
  nodes: [
    source('clicks'),
    source('users'),
    source('other'),
    node('table', ['from-users'], ['users']),
    node('join', ['from-clicks'], ['users']),
    node('count', ['join'], ['counts']),
    node('print', ['count', 'from-other'], []),
  ],
  stores: [store('users'), store('counts')],
}

function plan(topology: Topology, partitions: Readonly<Record<string, number>>) {
  return partitionPlan(topology, names, new Map(Object.entries(partitions)))
}

describe('co-partitioned sources', () => {
  it('are those whose records meet in a store, by whichever way', () => {
    const found = copartitionsOf(joined).map(({ sources, stores }) => [
      sources.map(({ topic }) => topic).sort(),
      stores,
    ])
    expect(found).toEqual([
      [
        ['clicks', 'users'],
        ['users', 'counts'],
      ],
    ])
  })

  it('are none when streams only share a node without a store', () => {
    const nodes = [source('one'), source('other'), node('print', ['from-one', 'from-other'], [])]
    expect(copartitionsOf({ id: 0, nodes, stores: [] })).toEqual([])
    const topology = { subtopologies: [{ id: 0, nodes, stores: [] }], internalTopics: [] }
    expect(plan(topology, { one: 2, other: 5 }).tasks).toEqual([5])
  })

  it('with different numbers of partitions are refused, by topic and number', () => {
    const topology = { subtopologies: [joined], internalTopics: [] }
    expect(plan(topology, { clicks: 4, users: 4, other: 7 }).tasks).toEqual([7])
    expect(() => plan(topology, { clicks: 4, users: 6, other: 4 })).toThrow(
      /^\[TOPIC_MISMATCH\] topics that are joined .*store "users", "counts", but of their topics .*"clicks" has 4.*Create them with the same number, or repartition/,
    )
  })

  it('of which one is a repartition: it gets as many partitions as the other has', () => {
    const topology = {
      subtopologies: [
        { id: 0, nodes: [source('raw'), sink('by-user', ['from-raw'])], stores: [] },
        {
          id: 1,
          nodes: [
            source('by-user', true),
            source('users'),
            node('table', ['from-users'], ['users']),
            node('join', ['from-by-user'], ['users']),
          ],
          stores: [store('users')],
        },
      ],
      internalTopics: [{ name: 'by-user', partitions: undefined }],
    }
    expect(plan(topology, { raw: 12, users: 3 }).repartitions).toEqual(new Map([['app-by-user-repartition', 3]]))
    const fixed = { ...topology, internalTopics: [{ name: 'by-user', partitions: 5 }] }
    expect(() => plan(fixed, { raw: 12, users: 3 })).toThrow('"app-by-user-repartition" has 5 and "users" has 3')
  })

  it('that are all repartitions get as many as the widest of them needs', () => {
    const topology = {
      subtopologies: [
        { id: 0, nodes: [source('a'), sink('left', ['from-a'])], stores: [] },
        { id: 1, nodes: [source('b'), sink('right', ['from-b'])], stores: [] },
        {
          id: 2,
          nodes: [source('left', true), source('right', true), node('join', ['from-left', 'from-right'], ['both'])],
          stores: [store('both')],
        },
      ],
      internalTopics: [
        { name: 'left', partitions: undefined },
        { name: 'right', partitions: undefined },
      ],
    }
    const { repartitions, tasks } = plan(topology, { a: 2, b: 7 })
    expect([...repartitions.values()]).toEqual([7, 7])
    expect(tasks).toEqual([2, 7, 7])
  })
})
