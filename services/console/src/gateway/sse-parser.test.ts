import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { streamMessageCharsMax } from '../limits.ts'
import { ConsoleError } from './console-error.ts'
import { createSseParser, type SseMessage } from './sse-parser.ts'

describe('createSseParser', () => {
  test('reads name, data and id of a message', () => {
    expect(parse('id: 7.9\nevent: stats\ndata: {"count":1}\n\n')).toEqual([
      { event: 'stats', data: '{"count":1}', lastEventId: '7.9' },
    ])
  })

  test('joins several data lines and keeps all but one leading space', () => {
    expect(parse('data: a\ndata:  b\ndata\n\n')).toEqual([{ event: 'message', data: 'a\n b\n', lastEventId: '' }])
  })

  test('passes over comments, unknown fields and messages without data', () => {
    expect(parse(':\n\n: beat\nfoo: bar\n\nevent: stats\n\ndata: x\n\n')).toEqual([
      { event: 'message', data: 'x', lastEventId: '' },
    ])
  })

  test('keeps the last id for messages without one, and takes no id with a NUL', () => {
    const messages = parse('id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid\ndata: d\n\n')
    expect(messages.map((message) => message.lastEventId)).toEqual(['1', '1', '1', ''])
  })

  test('takes an id also from a message without data', () => {
    expect(parse('id: 5\n\ndata: a\n\n')).toEqual([{ event: 'message', data: 'a', lastEventId: '5' }])
  })

  test('ends lines with CR, LF and CRLF, and drops a byte order mark', () => {
    expect(parse('\uFEFFdata: a\r\rdata: b\r\n\r\ndata: c\n\n').map((message) => message.data)).toEqual(['a', 'b', 'c'])
  })

  test('does not take a CRLF for two line ends when a piece ends between them', () => {
    const parser = createSseParser()
    expect(parser.push('data: a\r')).toEqual([])
    expect(parser.push('\ndata: b\r\n\r')).toEqual([{ event: 'message', data: 'a\nb', lastEventId: '' }])
    expect(parser.push('\n')).toEqual([])
  })

  test('does not give out an unfinished message', () => {
    expect(parse('data: a\n')).toEqual([])
  })

  test('gives the same messages however the text is cut', () => {
    const line = fc.constantFrom('data: a', 'data:b', 'event: stats', 'id: 3', ': beat', '', '', 'retry: 10')
    const end = fc.constantFrom('\n', '\r\n', '\r')
    const text = fc
      .array(
        fc.tuple(line, end).map((pair) => pair.join('')),
        { maxLength: 40 },
      )
      .map((lines) => lines.join(''))
    fc.assert(
      fc.property(text, fc.array(fc.nat({ max: 12 }), { maxLength: 60 }), (whole, lengths) => {
        expect(parseInPieces(whole, lengths)).toEqual(parse(whole))
      }),
    )
  })

  test('refuses a message that never ends', () => {
    const parser = createSseParser()
    const piece = 'x'.repeat(streamMessageCharsMax / 2)
    parser.push(`data: ${piece}`)
    expect(() => parser.push(piece)).toThrow(ConsoleError)
  })

  test('refuses a message of many lines that together are too long', () => {
    const parser = createSseParser()
    const piece = `data: ${'x'.repeat(streamMessageCharsMax / 4)}\n`
    expect(() => parser.push(piece.repeat(5))).toThrow(/\[bad_answer\]/)
  })
})

function parse(text: string): SseMessage[] {
  return createSseParser().push(text)
}

function parseInPieces(text: string, lengths: readonly number[]): SseMessage[] {
  const parser = createSseParser()
  const messages: SseMessage[] = []
  let from = 0
  for (const length of lengths) {
    messages.push(...parser.push(text.slice(from, from + length)))
    from += length
  }
  messages.push(...parser.push(text.slice(from)))
  return messages
}
