/** What a piece of bytes on its way to a database is. */
export interface WirePiece {
  /** Of the write that begins with it; undefined when none does. */
  readonly name: string | undefined
  /** What goes on to the database: the same, unless a run breaks something on purpose. */
  readonly bytes: Buffer
}

/** Where writes begin, as far as a relay has to know. A client that waits for each answer begins every request with a piece of its own. */
export interface WireProtocol {
  read(piece: Buffer): WirePiece
}

/** The request line of an insert is at the beginning of a piece. */
const requestLineMax = 2_048

/**
 * An insert over HTTP, by its deduplication token. With `ignoresTokens` the database gets another token each time, of the same length, and so cannot know a repetition:
 * a run that must notice.
 */
export function clickHouseWire({ ignoresTokens }: { readonly ignoresTokens: boolean }): WireProtocol {
  let changed = 0
  return {
    read(piece) {
      const line = piece.toString('latin1', 0, requestLineMax)
      if (!line.startsWith('POST ')) return { name: undefined, bytes: piece }
      const name = /insert_deduplication_token=([^& ]+)/.exec(line)?.[1]
      if (name === undefined || !ignoresTokens) return { name, bytes: piece }
      const other = String(++changed).padStart(name.length, '0')
      const head = Buffer.from(line.replace(`token=${name}`, `token=${other}`), 'latin1')
      return { name, bytes: Buffer.concat([head, piece.subarray(head.length)]) }
    },
  }
}

/** int24 length · int8 sequence · int8 3, a query · its text. */
const queryCommand = 3
const packetHeadBytes = 5

/** A transaction's commit, which is when its rows and its offset are stored. */
export const mysqlWire: WireProtocol = {
  read(piece) {
    const isCommit =
      piece[4] === queryCommand &&
      piece.length < 32 &&
      piece.toString('latin1', packetHeadBytes).trim().toLowerCase() === 'commit'
    return { name: isCommit ? 'commit' : undefined, bytes: piece }
  },
}

/** Bytes that nobody looks into. */
export const plainWire: WireProtocol = { read: (bytes) => ({ name: undefined, bytes }) }
