import { hash } from 'node:crypto'

/** What tells one person's lead from another's. */
export interface LeadPerson {
  readonly email: string
  readonly source: string | null
}

/**
 * The address as it is compared: composed characters, lower case, no space around it. What comes before the `@` is otherwise left as it is: whether dots in it or a `+tag`
 * matter is for the provider to say, and taking two people for one is worse than the opposite.
 */
export function normalisedEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase()
}

/** The key under which the first lead of a person and a source is kept: 128 bits of SHA-256 of the normalised address and the source, which is compared as it is. */
export function leadIdentity({ email, source }: LeadPerson): string {
  return hash('sha256', `${normalisedEmail(email)}\n${source ?? ''}`, 'base64url').slice(0, 22)
}
