import { isUtf8 } from 'node:buffer'
import { type Fault, GatewayError } from '../errors.ts'
import { invalidBody } from '../http/validation.ts'
import { JsonCursor, type JsonFault } from '../json/json-cursor.ts'
import { readStrictJson, requireUtf8 } from '../json/strict-json.ts'
import { jsonFaultsMax, leadsPerRequestMax } from '../limits.ts'

/** One lead of a bulk request, as it was sent. */
export interface BulkLead {
  /** Its place in the array, or its line, from 0. */
  readonly index: number
  /** Of it in the body. */
  readonly pointer: string
  /** Undefined when it cannot be read. */
  readonly value: unknown
  /** What is wrong with its text. */
  readonly faults: readonly Fault[]
}

/** The leads of a JSON body: an array, or an object with the member `leads`. Throws `INVALID_JSON`, `INVALID_BODY` and `BODY_TOO_LARGE`. */
export function readBulkJson(bytes: Buffer): readonly BulkLead[] {
  const { value, faults: contentFaults } = readStrictJson(bytes)
  const tooDeep = contentFaults.filter((fault) => fault.code === 'TOO_DEEP')
  // What is nested too deep was not parsed; and of more faults than are kept, nobody knows which leads they are in.
  if (tooDeep.length > 0 || contentFaults.length >= jsonFaultsMax) throw invalidBody(contentFaults.map(toFault))
  const { values, root } = Array.isArray(value) ? { values: value, root: '' } : fromObject(value)
  requireCount(values.length, root)
  const faults = byItem(contentFaults, root)
  return values.map((lead: unknown, index) => {
    return { index, pointer: `${root}/${index}`, value: lead, faults: faults.get(index) ?? none }
  })
}

/**
 * The leads of an NDJSON body, one per line, each read when it is asked for: a lead that is sealed before the next one is read is gone with the next scavenge. Lines without any text
 * are passed over. A line that is not JSON is a fault of that line alone. Throws `INVALID_BODY` and `BODY_TOO_LARGE`, both no earlier than at the end of what there is.
 */
export function* readBulkLines(bytes: Buffer): Generator<BulkLead, void> {
  let count = 0
  // One for all lines: making one costs more than reading a lead with it.
  const cursor = new JsonCursor()
  // Asked once of the whole body, and of single lines only when some are not.
  const isText = isUtf8(bytes)
  for (let start = 0, line = 0; start < bytes.length; line++) {
    const found = bytes.indexOf(lineFeed, start)
    const end = found < 0 ? bytes.length : found
    if (!isBlank(bytes, start, end)) {
      // Not a lead more than may be is read.
      if (++count > leadsPerRequestMax) throw tooMany()
      yield readLine(cursor, bytes, { start, end, root: line, isText })
    }
    start = end + 1
  }
  requireCount(count, '')
}

const none: readonly Fault[] = []
const lineFeed = 0x0a

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false
  }
  return true
}

function readLine(
  cursor: JsonCursor,
  bytes: Buffer,
  line: { readonly start: number; readonly end: number; readonly root: number; readonly isText: boolean },
): BulkLead {
  const pointer = `/${line.root}`
  try {
    if (!line.isText) requireUtf8(bytes.subarray(line.start, line.end))
    cursor.open(bytes, line)
    cursor.value()
    cursor.finish()
    const faults = cursor.faults.length === 0 ? noFaults : cursor.takeFaults()
    // What is nested too deep must not be walked.
    const tooDeep = faults.some(({ code }) => code === 'TOO_DEEP')
    const value: unknown = tooDeep ? undefined : JSON.parse(bytes.toString('utf8', line.start, line.end))
    return { index: line.root, pointer, value, faults: faults.length === 0 ? none : faults.map(toFault) }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { index: line.root, pointer, value: undefined, faults: [{ in: 'body', pointer, detail: error.detail }] }
  }
}

const noFaults: readonly JsonFault[] = []

function requireCount(count: number, root: string): void {
  if (count === 0) throw invalidBody([{ in: 'body', pointer: root, detail: 'must hold at least one lead' }])
  if (count > leadsPerRequestMax) throw tooMany()
}

function tooMany(): GatewayError {
  const detail = `A request may hold at most ${leadsPerRequestMax} leads: send them in several requests.`
  return new GatewayError('BODY_TOO_LARGE', detail)
}

function fromObject(value: unknown): { values: readonly unknown[]; root: string } {
  const isObject = typeof value === 'object' && value !== null && 'leads' in value
  if (!isObject || !Array.isArray(value.leads)) {
    throw invalidBody([{ in: 'body', pointer: '', detail: 'must be an array of leads, or an object with "leads"' }])
  }
  const others = Object.keys(value).filter((name) => name !== 'leads')
  if (others.length > 0) {
    throw invalidBody(others.map((name) => ({ in: 'body', pointer: `/${name}`, detail: 'is not a known field' })))
  }
  return { values: value.leads, root: '/leads' }
}

/** The faults of each item; what is wrong outside of the items concerns the whole body. */
function byItem(contentFaults: readonly JsonFault[], root: string): ReadonlyMap<number, readonly Fault[]> {
  const items = new Map<number, Fault[]>()
  for (const fault of contentFaults) {
    const index = /^\d+/.exec(fault.pointer.slice(root.length + 1))?.[0]
    if (index === undefined || !fault.pointer.startsWith(`${root}/`)) throw invalidBody(contentFaults.map(toFault))
    const list = items.get(Number(index)) ?? []
    list.push(toFault(fault))
    items.set(Number(index), list)
  }
  return items
}

function toFault({ pointer, detail }: Pick<JsonFault, 'pointer' | 'detail'>): Fault {
  return { in: 'body', pointer, detail }
}
