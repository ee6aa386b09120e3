import { topics } from '@millrace/schemas'
import type { Admin, NewTopic, TopicDescription } from '@millrace/streams'
import { expect, it } from 'vitest'
import { provision } from './provision.ts'

const registrar = { registerAll: () => Promise.resolve(new Map([['events', 7] as const])) }

function adminWith(existing: ReadonlyMap<string, TopicDescription>): Admin & { created: NewTopic[] } {
  const created: NewTopic[] = []
  return {
    created,
    createTopics: (wanted) => {
      created.push(...wanted)
      return Promise.resolve(wanted.map((topic) => topic.name))
    },
    describeTopics: (names) => Promise.resolve(new Map([...existing].filter(([name]) => names.includes(name)))),
    listOffsets: () => Promise.reject(new Error('not used')),
    deleteTopics: () => Promise.reject(new Error('not used')),
    deleteRecords: () => Promise.reject(new Error('not used')),
    close: () => Promise.resolve(),
  }
}

it('creates every topic of the catalogue on an empty cluster', async () => {
  const admin = adminWith(new Map())
  const report = await provision(admin, registrar, { topics, replicationFactor: 3, partitions: 12 })
  expect(report.createdTopics).toEqual(topics.map((spec) => spec.name))
  expect(admin.created.find((topic) => topic.name === 'events')).toMatchObject({ partitions: 12, replicationFactor: 3 })
  expect(admin.created.find((topic) => topic.name === 'events.dlq')?.partitions).toBe(1)
  expect(report.schemaIds.get('events')).toBe(7)
})

it('leaves an existing topic alone and says how it differs', async () => {
  const config = new Map([
    ['cleanup.policy', 'delete'],
    ['retention.ms', '1000'],
  ])
  const admin = adminWith(new Map([['events', { name: 'events', partitions: 2, config }]]))
  const report = await provision(admin, registrar, { topics, replicationFactor: 1, partitions: 4 })
  expect(admin.created.map((topic) => topic.name)).not.toContain('events')
  expect(report.differences).toEqual(['events has 2 partitions, not 4', 'events has retention.ms=1000, not 604800000'])
})
