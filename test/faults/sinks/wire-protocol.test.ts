import { describe, expect, it } from 'vitest'
import { clickHouseWire, mysqlWire } from './wire-protocol.ts'

describe('clickHouseWire', () => {
  const insert = Buffer.concat([
    Buffer.from('POST /?async_insert=0&insert_deduplicate=1&insert_deduplication_token=t%231&query=x HTTP/1.1\r\n\r\n'),
    Buffer.from([0x4f, 0x62, 0x6a, 0xff]),
  ])

  it('names an insert by its token, and leaves the bytes alone', () => {
    const { name, bytes } = clickHouseWire({ ignoresTokens: false }).read(insert)
    expect(name).toBe('t%231')
    expect(bytes).toBe(insert)
  })

  it('takes no other request, and no body, for an insert', () => {
    const { read } = clickHouseWire({ ignoresTokens: false })
    expect(read(Buffer.from('POST /?query=SELECT+1 HTTP/1.1\r\n\r\n')).name).toBeUndefined()
    expect(read(Buffer.from('rows with insert_deduplication_token=1')).name).toBeUndefined()
  })

  it('changes the token of every request when told to, and nothing else', () => {
    const { read } = clickHouseWire({ ignoresTokens: true })
    const pieces = [read(insert).bytes, read(insert).bytes].map((bytes) => bytes.toString('latin1'))
    const original = insert.toString('latin1')
    expect(pieces).toEqual([original.replace('t%231', '00001'), original.replace('t%231', '00002')])
  })
})

describe('mysqlWire', () => {
  const packet = (text: string) => Buffer.concat([Buffer.from([text.length + 1, 0, 0, 0, 3]), Buffer.from(text)])

  it('knows a commit from every other query', () => {
    expect(mysqlWire.read(packet('commit')).name).toBe('commit')
    expect(mysqlWire.read(packet('COMMIT')).name).toBe('commit')
    expect(mysqlWire.read(packet('rollback')).name).toBeUndefined()
    expect(mysqlWire.read(packet("insert into t values ('commit')")).name).toBeUndefined()
  })
})
