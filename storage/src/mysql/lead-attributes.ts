import { and, eq, gte, lt, lte, or, type SQL, sql } from 'drizzle-orm'
import type { InsertNew } from './insert-new.ts'
import type { LeadCondition } from './lead-conditions.ts'
import { indexedAttributesMax, statementRowsMax } from './limits.ts'
import type { Database } from './mysql.ts'
import { leadAttributes } from './schema.ts'

/*
 * Leads by their attributes: a row of `lead_attributes` for each attribute that can be asked for. It finds candidates; whether a lead meets a condition its own row says. So a value may be
 * cut, and a lead may have rows too many, but none too few. The bytes of values are in the order of the values:
 *
 *   'n' and 8 bytes    a number: IEEE 754, big endian, the sign turned; of a negative one all bits turned
 *   'b' and '0' or '1' a boolean
 *   't' and its JSON   a text: without the quote that begins it, with the one that ends it, cut after `valueBytesMax`
 *
 * Null, lists and objects meet no condition, and have no row. A lead with more attributes than `indexedAttributesMax` has one row for all of them, with an empty name and value: it is a
 * candidate for every condition.
 */

/** As the column has it. */
export const valueBytesMax = 40

/** Names that can be asked for. */
const namePattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

const nothing = Buffer.alloc(0)

/** What a lead has to have for its rows. */
export interface AttributedLead {
  readonly leadId: string
  readonly receivedAt: Date
  readonly source: string | null
  /** A JSON object's text. */
  readonly attributes: string
}

type AttributeRow = typeof leadAttributes.$inferInsert

/** The rows of a lead. */
export function attributeRows({ attributes, ...of }: AttributedLead): readonly AttributeRow[] {
  if (attributes === '{}') return []
  const everything = [{ name: '', value: nothing, ...of }]
  const parsed = parse(attributes)
  if (typeof parsed !== 'object' || parsed === null) return everything
  const rows: AttributeRow[] = []
  for (const [name, given] of Object.entries(parsed)) {
    const value = namePattern.test(name) ? bytesOf(given) : undefined
    if (value !== undefined) rows.push({ name, value, ...of })
  }
  return rows.length <= indexedAttributesMax ? rows : everything
}

/** The database takes some texts for JSON that are none here: such a lead is stored all the same. */
function parse(attributes: string): unknown {
  try {
    return JSON.parse(attributes)
  } catch {
    return undefined
  }
}

/** Adds the rows of leads that were just stored, inside the same transaction. */
export async function insertAttributes(insertNew: InsertNew, stored: readonly AttributedLead[]): Promise<void> {
  const rows = stored.flatMap(attributeRows)
  // In the order of the key, in which neighbours lie on one page.
  rows.sort((a, b) => (a.name === b.name ? Buffer.compare(a.value, b.value) : a.name < b.name ? -1 : 1))
  for (let at = 0; at < rows.length; at += rowsMax) await insertNew(leadAttributes, rows.slice(at, at + rowsMax))
}

/** The rows are a tenth of a lead's. */
const rowsMax = 4 * statementRowsMax

/** Takes the rows of a lead away, inside the caller's transaction, which holds the lead's row. */
export async function deleteAttributes(database: Database, lead: AttributedLead): Promise<void> {
  const rows = attributeRows(lead)
  if (rows.length === 0) return
  const each = rows.map(({ name, value }) => and(eq(leadAttributes.name, name), eq(leadAttributes.value, value)))
  const ofLead = and(eq(leadAttributes.receivedAt, lead.receivedAt), eq(leadAttributes.leadId, lead.leadId))
  await database.delete(leadAttributes).where(and(or(...each), ofLead))
}

/** The rows of every lead that may meet a condition; undefined for `ne`, which nearly all leads meet. */
export function candidatesOf(
  { operator, attribute, values }: LeadCondition,
  { source, fromMs, toMs }: CandidateFilters,
): SQL | undefined {
  if (operator === 'ne') return undefined
  const ranges = values.map((value) => rangeOf(operator, value))
  return and(
    or(and(eq(leadAttributes.name, attribute), or(...ranges)), eq(leadAttributes.name, '')),
    source === undefined ? undefined : eq(leadAttributes.source, source),
    fromMs === undefined ? undefined : gte(leadAttributes.receivedAt, new Date(fromMs)),
    toMs === undefined ? undefined : lt(leadAttributes.receivedAt, new Date(toMs)),
  )
}

/** Of a listing, what the rows have besides. */
interface CandidateFilters {
  readonly source?: string | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
}

function rangeOf(
  operator: Exclude<LeadCondition['operator'], 'ne'>,
  wanted: string | number | boolean,
): SQL | undefined {
  const { value } = leadAttributes
  if (operator === 'prefix') {
    const first = textOf(JSON.stringify(wanted).slice(1, -1))
    return and(gte(value, first), lt(value, behind(first)))
  }
  const bytes = scalarOf(wanted)
  // A value that was cut stands for all that begin like it: bounds are taken with them, and the lead's row decides.
  switch (operator) {
    case 'eq':
    case 'in':
      return eq(value, bytes)
    case 'gt':
    case 'gte':
      return and(gte(value, bytes), lt(value, behind(bytes.subarray(0, 1))))
    case 'lt':
    case 'lte':
      return and(gte(value, bytes.subarray(0, 1)), lte(value, bytes))
  }
}

function bytesOf(given: unknown): Buffer | undefined {
  return typeof given === 'string' || typeof given === 'number' || typeof given === 'boolean'
    ? scalarOf(given)
    : undefined
}

function scalarOf(given: string | number | boolean): Buffer {
  if (typeof given === 'number') return numberBytes(given)
  if (typeof given === 'boolean') return Buffer.from(given ? 'b1' : 'b0')
  return textOf(JSON.stringify(given).slice(1))
}

function textOf(json: string): Buffer {
  return Buffer.from(`t${json}`).subarray(0, valueBytesMax)
}

function numberBytes(given: number): Buffer {
  const bytes = Buffer.alloc(9, 'n')
  // Adding zero makes the negative one positive.
  bytes.writeDoubleBE(given + 0, 1)
  if (given < 0) {
    for (let at = 1; at < 9; at++) bytes[at] = ~(bytes[at] ?? 0)
  } else {
    bytes[1] = (bytes[1] ?? 0) | 0x80
  }
  return bytes
}

/** The first bytes behind everything that begins with these, none of which ends with 255: neither a tag nor UTF-8 does. */
function behind(bytes: Buffer): Buffer {
  const next = Buffer.from(bytes)
  next[next.length - 1] = (next[next.length - 1] ?? 0) + 1
  return next
}

/** How many candidates there are; one more than `most` says that there are more. */
export async function countCandidates(database: Database, candidates: SQL, most: number): Promise<number> {
  const counted = database
    .select({ one: sql`1`.as('one') })
    .from(leadAttributes)
    .where(candidates)
    .limit(most + 1)
    .as('counted')
  const [found] = await database.select({ rows: sql<number>`COUNT(*)` }).from(counted)
  return Number(found?.rows ?? 0)
}
