import { streamMessageCharsMax } from '../limits.ts'
import { ConsoleError } from './console-error.ts'

/** One server-sent event. */
export interface SseMessage {
  /** The event's name; `message` when the server named none. */
  readonly event: string
  readonly data: string
  /** The last id the server gave, on this message or before; sent as Last-Event-ID after a reconnect. */
  readonly lastEventId: string
}

/** Takes a stream's text in pieces of any size and gives the messages that each piece completes. */
export interface SseParser {
  push(text: string): SseMessage[]
  /** The wait before a reconnect that the server asked for (`retry:`), or null. */
  readonly retryMs: number | null
}

/**
 * A parser for `text/event-stream` by the rules of the HTML standard: lines end with LF, CR or CRLF, also where a piece ends between the
 * two; a message ends with an empty line and is dropped when it has no data. `EventSource` would do this, but it cannot send an
 * Authorization header. Throws a `bad_answer` when a message exceeds {@link streamMessageCharsMax}.
 */
export function createSseParser(): SseParser {
  let rest = ''
  let atStart = true
  let skipLineFeed = false
  let event = ''
  let data: string[] = []
  let dataChars = 0
  let lastEventId = ''
  let retryMs: number | null = null

  function push(text: string): SseMessage[] {
    const messages: SseMessage[] = []
    rest += withoutBom(text)
    let from = 0
    for (let at = indexOfLineEnd(rest, from); at !== -1; at = indexOfLineEnd(rest, from)) {
      const isLineFeed = rest[at] === '\n'
      // The LF of a CRLF whose CR ended the line already.
      if (isLineFeed && skipLineFeed && at === from) skipLineFeed = false
      else {
        takeLine(rest.slice(from, at), messages)
        skipLineFeed = !isLineFeed
      }
      from = at + 1
    }
    rest = rest.slice(from)
    if (rest.length > 0) skipLineFeed = false
    refuseBeyond(rest.length + dataChars)
    return messages
  }

  function withoutBom(text: string): string {
    if (!atStart || text === '') return text
    atStart = false
    return text.startsWith('\uFEFF') ? text.slice(1) : text
  }

  function takeLine(line: string, messages: SseMessage[]): void {
    if (line === '') {
      if (data.length > 0)
        messages.push({ event: event === '' ? 'message' : event, data: data.join('\n'), lastEventId })
      event = ''
      data = []
      dataChars = 0
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    takeField(name, value)
  }

  function takeField(name: string, value: string): void {
    if (name === 'event') event = value
    else if (name === 'data') {
      data.push(value)
      dataChars += value.length
      refuseBeyond(dataChars)
    } else if (name === 'id') {
      if (!value.includes('\0')) lastEventId = value
    } else if (name === 'retry' && /^\d{1,9}$/.test(value)) retryMs = Number(value)
  }

  return {
    push,
    get retryMs() {
      return retryMs
    },
  }
}

function indexOfLineEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const char = text[at]
    if (char === '\n' || char === '\r') return at
  }
  return -1
}

function refuseBeyond(chars: number): void {
  if (chars <= streamMessageCharsMax) return
  throw new ConsoleError('bad_answer', `A message of the stream is longer than ${streamMessageCharsMax} characters.`)
}
