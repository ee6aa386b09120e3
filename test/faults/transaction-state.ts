import { connect } from 'node:net'
import { FaultError } from './fault-error.ts'

/** What the broker says about a transactional id. */
export interface TransactionDescription {
  /** Kafka's word: `Ongoing`, `Empty`, `PrepareCommit`, `CompleteAbort` …; `unknown` when it does not know the id. */
  readonly state: string
  readonly producerId: bigint
  readonly producerEpoch: number
}

const answerDeadlineMs = 10_000
const describeTransactions = 65
const clientId = 'faults'

/**
 * Asks a broker, the only one of its cluster, about a transactional id. By hand and not through the client under test: this is the proof that
 * a fault hit an open transaction.
 *
 * DescribeTransactions v0, all lengths of texts and arrays being uvarints of length + 1, every structure ended by a byte 0 (no tags):
 *   request   int32 length · int16 api key · int16 version · int32 correlation id · int16 length, client id · 0 · [transactional id] · 0
 *   response  int32 length · int32 correlation id · 0 · int32 throttled ms
 *             · [int16 error · transactional id · state · int32 timeout ms · int64 start ms · int64 producer id · int16 epoch · [topics] · 0] · 0
 */
export async function describeTransaction(address: string, transactionalId: string): Promise<TransactionDescription> {
  const answer = await ask(address, request(transactionalId))
  const firstEntry = 4 + 4 + 1 + 4 + 1
  let at = firstEntry
  const error = answer.readInt16BE(at)
  at += 2
  const id = compactText(answer, at)
  const state = compactText(answer, id.end)
  at = state.end + 4 + 8
  if (error !== 0) return { state: 'unknown', producerId: -1n, producerEpoch: -1 }
  return { state: state.text, producerId: answer.readBigInt64BE(at), producerEpoch: answer.readInt16BE(at + 8) }
}

function request(transactionalId: string): Buffer {
  const id = Buffer.from(transactionalId)
  if (id.length + 1 > 127) throw new FaultError(`the transactional id ${transactionalId} is too long for this request`)
  const header = Buffer.alloc(10)
  header.writeInt16BE(describeTransactions, 0)
  header.writeInt16BE(0, 2)
  header.writeInt32BE(1, 4)
  header.writeInt16BE(clientId.length, 8)
  const body = Buffer.concat([header, Buffer.from(clientId), Buffer.from([0, 2, id.length + 1]), id, Buffer.from([0])])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

/** Sends one request and resolves with the whole answer, its length included. */
async function ask(address: string, bytes: Buffer): Promise<Buffer> {
  const [host = '', port = ''] = address.split(':')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const socket = connect({ host, port: Number(port) })
  let received: Buffer = Buffer.alloc(0)
  socket.setTimeout(answerDeadlineMs, () =>
    reject(new FaultError(`${address} did not answer within ${answerDeadlineMs} ms`)),
  )
  socket.on('error', reject)
  socket.on('close', () => reject(new FaultError(`${address} closed the connection without an answer`)))
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    if (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) resolve(received)
  })
  socket.write(bytes)
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}

/** A text of less than 127 bytes. */
function compactText(bytes: Buffer, at: number): { readonly text: string; readonly end: number } {
  const length = Math.max((bytes[at] ?? 0) - 1, 0)
  return { text: bytes.toString('utf8', at + 1, at + 1 + length), end: at + 1 + length }
}
