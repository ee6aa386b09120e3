import type { LeadCondition } from '@millrace/storage/mysql'

/** A lead as the store keeps it. */
export interface KeptLead {
  readonly leadId: string
  readonly firstName: string
  readonly lastName: string
  readonly email: string
  readonly phone: string | null
  readonly dateOfBirth: string | null
  readonly address: string | null
  readonly city: string | null
  readonly postalCode: string | null
  readonly country: string | null
  readonly source: string | null
  readonly campaign: string | null
  readonly consent: boolean | null
  /** A JSON object's text. */
  readonly attributes: string
  readonly status: string
  readonly duplicateOf: string | null
  readonly submittedBy: string
  readonly requestId: string
  readonly receivedAt: Date
  readonly storedAt: Date
}

/** One step of a lead's life. */
export interface KeptStep {
  readonly at: Date
  readonly status: 'received' | 'stored' | 'duplicate' | 'rejected' | 'erased'
  readonly reason: string | null
}

/** Which leads to list: by page from 1, or from a cursor on. */
export interface LeadListing {
  readonly limit: number
  readonly page?: number | undefined
  readonly cursor?: string | undefined
  readonly status?: string | undefined
  readonly email?: string | undefined
  readonly phone?: string | undefined
  readonly source?: string | undefined
  /** All of them must hold. */
  readonly attributes?: readonly LeadCondition[] | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  readonly sort?: '-received_at' | 'received_at' | undefined
}

/** Where leads can be read. Throws when the store does not answer, and for a cursor that is none of its own. */
export interface LeadStore {
  list(listing: LeadListing): Promise<{
    readonly leads: readonly KeptLead[]
    readonly total: number
    readonly totalIsExact: boolean
    readonly nextCursor: string | null
  }>
  byId(leadId: string): Promise<KeptLead | undefined>
  /** In order; also of a lead that was rejected, which `byId` does not know. */
  historyOf(leadId: string): Promise<readonly KeptStep[]>
}

/** Everything that the store knows about the person of a lead. */
export interface PersonRecord {
  /** The lead that was asked for first. */
  readonly leads: readonly KeptLead[]
  readonly isComplete: boolean
  readonly history: readonly (KeptStep & { readonly leadId: string })[]
  readonly audit: readonly {
    readonly at: Date
    readonly action: string
    readonly actor: string | null
    readonly requestId: string | null
  }[]
  readonly submissions: readonly {
    readonly requestId: string
    readonly method: string
    readonly route: string
    readonly principal: string | null
    readonly receivedAt: Date
  }[]
}

/** Who asks, by which request: for the audit log, which the store writes together with what it does. */
export interface PrivacyRequest {
  readonly actor: string
  readonly requestId: string
}

/** Where leads can be erased, and what is known about a person can be had. Undefined when there is no such lead; throws when the store does not answer. */
export interface LeadPrivacyStore {
  /** Idempotent. */
  erase(leadId: string, by: PrivacyRequest): Promise<{ readonly erasedAt: Date } | undefined>
  exportPerson(leadId: string, by: PrivacyRequest): Promise<PersonRecord | undefined>
}

/** Definitions of lead fields as the store keeps them. */
export interface KeptLeadFields {
  readonly id: string
  /** Null: of leads that name no source. */
  readonly source: string | null
  /** From 1, one more with every change. */
  readonly version: number
  readonly undefinedAttributes: 'keep' | 'refuse'
  /** A JSON array's text. */
  readonly fields: string
  readonly changedAt: Date
}

/** What came of a change of definitions; `changed` names the version that they have. */
export type LeadFieldsOutcome =
  | { readonly outcome: 'done'; readonly stored: KeptLeadFields }
  | { readonly outcome: 'exists'; readonly id: string }
  | { readonly outcome: 'full' }
  | { readonly outcome: 'missing' }
  | { readonly outcome: 'changed'; readonly version: number }

/** Who changes definitions, by which request. */
export interface LeadFieldsChanger {
  readonly actor: string
  readonly requestId: string
}

/** Where definitions of lead fields are kept: one place for all gateways. Every method throws when the store does not answer. */
export interface LeadFieldStore {
  /** How often anything was changed. */
  changes(): Promise<number>
  /** All definitions, never older than the count that comes with them. */
  readAll(): Promise<{ readonly changes: number; readonly sources: readonly KeptLeadFields[] }>
  byId(id: string): Promise<KeptLeadFields | undefined>
  /** Atomic, as all changes: `done`, `exists` or `full`. */
  create(
    fields: Pick<KeptLeadFields, 'id' | 'source' | 'undefinedAttributes' | 'fields'>,
    by: LeadFieldsChanger,
  ): Promise<LeadFieldsOutcome>
  /** `done`, `missing` or `changed`. */
  replace(
    id: string,
    content: Pick<KeptLeadFields, 'undefinedAttributes' | 'fields'>,
    by: LeadFieldsChanger & { readonly versions: readonly number[] | 'any' },
  ): Promise<LeadFieldsOutcome>
  /** `done`, `missing` or `changed`. */
  remove(
    id: string,
    by: LeadFieldsChanger & { readonly versions: readonly number[] | 'any' },
  ): Promise<LeadFieldsOutcome>
}
