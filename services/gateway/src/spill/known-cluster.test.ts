import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readKnownCluster, writeKnownCluster } from './known-cluster.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-known-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const notes = {
  partitions: new Map([
    ['events', 12],
    ['leads', 6],
  ]),
  schemas: new Map([['events', { schema: 'event', id: 7 }]] as const),
}
const path = () => join(directory, 'known-cluster.json')

it('reads what was written, as often as it was', async () => {
  await writeKnownCluster(directory, { ...notes, partitions: new Map([['events', 1]]) })
  await writeKnownCluster(directory, notes)
  const known = await readKnownCluster(directory)
  expect(known?.partitions).toEqual(notes.partitions)
  expect(known?.schemaId('events', 'event')).toBe(7)
  expect(known?.schemaId('leads', 'lead')).toBeUndefined()
  expect(readdirSync(directory)).toEqual(['known-cluster.json'])
  expect(statSync(path()).mode & 0o077, 'for this user alone').toBe(0)
})

it('makes the directory', async () => {
  await writeKnownCluster(join(directory, 'a', 'b'), notes)
  expect((await readKnownCluster(join(directory, 'a', 'b')))?.partitions.get('events')).toBe(12)
})

it('knows no id of another version of a schema', async () => {
  await writeKnownCluster(directory, notes)
  writeFileSync(path(), readFileSync(path(), 'utf8').replace(/"fingerprint": "..../, '"fingerprint": "0000'))
  expect((await readKnownCluster(directory))?.schemaId('events', 'event')).toBeUndefined()
})

it.each(['', '{', 'null', '[]', '{"version":2,"partitions":{},"schemas":{}}', '{"version":1,"partitions":{}}'])(
  'knows nothing from %j',
  async (text) => {
    writeFileSync(path(), text)
    expect(await readKnownCluster(directory)).toBeUndefined()
  },
)

it('leaves out what are no numbers', async () => {
  writeFileSync(
    path(),
    '{"version":1,"partitions":{"events":"12","leads":-1,"stats":3},"schemas":{"events":{"id":"7"}}}',
  )
  const known = await readKnownCluster(directory)
  expect(known?.partitions).toEqual(new Map([['stats', 3]]))
  expect(known?.schemaId('events', 'event')).toBeUndefined()
})

it('knows nothing where nothing was written', async () => {
  expect(await readKnownCluster(join(directory, 'none'))).toBeUndefined()
})
