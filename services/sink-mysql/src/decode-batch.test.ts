import { createCodec, SchemaError, schemaText } from '@millrace/schemas'
import { describe, expect, it } from 'vitest'
import { batchOf, leadOf } from '../test/batches.ts'
import { createBatchDecoder } from './decode-batch.ts'

function setUp(texts: Readonly<Record<number, string>> = {}, skipTombstones = true) {
  const asked: number[] = []
  let isAway = false
  let nowMs = 0
  const registry = {
    async schemaById(id: number) {
      asked.push(id)
      if (isAway) throw new SchemaError('REGISTRY_UNAVAILABLE', 'away')
      const text = texts[id]
      if (text === undefined) throw new SchemaError('NOT_REGISTERED', `no id ${id}`)
      return text
    },
  }
  const decode = createBatchDecoder({ codec: createCodec('lead', 7), registry, skipTombstones, nowMs: () => nowMs })
  return {
    decode,
    asked,
    setAway: (value: boolean) => {
      isAway = value
    },
    advance: (ms: number) => {
      nowMs += ms
    },
  }
}

const writer = createCodec('lead', 7)

describe('createBatchDecoder', () => {
  it('decodes values with their offsets, leaves tombstones out, and names what cannot be decoded', async () => {
    const { decode } = setUp({ 9: schemaText('event') })
    const lead = leadOf()
    const sound = writer.encode(lead)
    const foreign = Buffer.from(sound)
    foreign.writeInt32BE(9, 1)
    const unknown = Buffer.from(sound)
    unknown.writeInt32BE(404, 1)
    const values = [sound, null, Buffer.from('x'), sound.subarray(0, 20), foreign, unknown]
    const { values: decoded, poison } = await decode(batchOf(values, 50))
    expect(decoded).toEqual([{ offset: 50, value: lead }])
    expect(poison.map(({ row, reason }) => `${row} ${reason.exception}`)).toEqual([
      '2 NOT_FRAMED',
      '3 UNDECODABLE',
      '4 INCOMPATIBLE',
      '5 NOT_REGISTERED',
    ])
    expect(JSON.stringify(poison)).not.toContain('zoe@')
  })

  it('names null values where the topic has no tombstones', async () => {
    const { decode } = setUp({}, false)
    const { values, poison } = await decode(batchOf([null, writer.encode(leadOf())], 50))
    expect(values.map(({ offset }) => offset)).toEqual([51])
    expect(poison).toEqual([{ row: 0, reason: { exception: 'NOT_FRAMED', message: 'the record has no value' } }])
  })

  it('learns another version of the schema once', async () => {
    const { decode, asked } = setUp({ 8: schemaText('lead') })
    const lead = leadOf()
    const newer = createCodec('lead', 8).encode(lead)
    expect((await decode(batchOf([newer, newer]))).values).toHaveLength(2)
    expect((await decode(batchOf([newer]))).values).toHaveLength(1)
    expect(asked).toEqual([8])
  })

  it('asks for an unknown id again after a while, and throws when the registry is away', async () => {
    const { decode, asked, setAway, advance } = setUp()
    const unknown = createCodec('lead', 404).encode(leadOf())
    await decode(batchOf([unknown, unknown]))
    expect(asked).toEqual([404])
    advance(60_000)
    setAway(true)
    await expect(decode(batchOf([unknown]))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', retryable: true })
  })
})
