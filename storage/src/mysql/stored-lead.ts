import { StorageError } from '../errors.ts'
import { type LeadKey, type LeadKeyPlace, openContents } from '../sealing/index.ts'
import { findKeys } from './lead-keys.ts'
import type { Database } from './mysql.ts'
import type { leads } from './schema.ts'

/** A row of `leads`. */
export type LeadRow = typeof leads.$inferSelect

/** A lead as MySQL keeps it, opened. Of an erased one everything personal is empty. */
export interface StoredLead extends Omit<LeadRow, 'keyTree' | 'keyLeaf' | 'emailHash' | 'phoneHash' | 'sealed'> {
  readonly firstName: string
  readonly lastName: string
  readonly email: string
  readonly phone: string | null
  readonly dateOfBirth: string | null
  readonly address: string | null
  readonly city: string | null
  readonly postalCode: string | null
  readonly country: string | null
}

/** Opens rows with their keys, which are read for them and forgotten. A row whose key was destroyed since it was read comes as erased. */
export async function openRows(
  database: Database,
  leadKey: LeadKey,
  rows: readonly LeadRow[],
): Promise<readonly StoredLead[]> {
  const keys = await findKeys(database, leadKey, rows.flatMap(placesOf))
  return rows.map((row) => {
    const [place] = placesOf(row)
    const key = place === undefined ? 'destroyed' : keys.keyOf(place)
    if (key === 'unknown') throw unopened(row, 'its key is not in lead_key_nodes')
    if (place === undefined || key === 'destroyed' || row.sealed === null) return erased(row)
    const contents = openContents({ leadId: row.leadId, ...place, sealed: row.sealed }, key)
    if (contents === undefined) throw unopened(row, 'what is sealed was changed')
    const { first_name, last_name, date_of_birth, postal_code, attributes, ...others } = contents
    const person = { firstName: first_name, lastName: last_name, dateOfBirth: date_of_birth, postalCode: postal_code }
    return { ...withoutKey(row), ...others, ...person, attributes }
  })
}

/** The key that a row is sealed with; none of an erased one. */
export function placesOf({ keyTree, keyLeaf }: Pick<LeadRow, 'keyTree' | 'keyLeaf'>): readonly LeadKeyPlace[] {
  return keyTree === null || keyLeaf === null ? [] : [{ tree: keyTree, leaf: keyLeaf }]
}

/** What an erased lead's columns hold. The hashes go with the rest: whoever guesses the content could confirm it by them. */
export const nobody = {
  status: 'erased',
  source: null,
  campaign: null,
  consent: null,
  attributes: '{}',
  contentHash: '',
  duplicateOf: null,
  keyTree: null,
  keyLeaf: null,
  emailHash: null,
  phoneHash: null,
  sealed: null,
} as const satisfies Partial<typeof leads.$inferInsert>

function erased(row: LeadRow): StoredLead {
  const { keyTree, keyLeaf, emailHash, phoneHash, sealed, ...columns } = nobody
  return { ...withoutKey(row), ...columns, ...noPerson }
}

const noPerson = {
  firstName: '',
  lastName: '',
  email: '',
  phone: null,
  dateOfBirth: null,
  address: null,
  city: null,
  postalCode: null,
  country: null,
}

function withoutKey({ keyTree, keyLeaf, emailHash, phoneHash, sealed, ...row }: LeadRow) {
  return row
}

function unopened({ leadId }: LeadRow, why: string): StorageError {
  return new StorageError('FAILED', `Lead ${leadId} cannot be opened: ${why}`)
}
