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
  readonly submittedBy: string
  readonly requestId: string
  readonly receivedAt: Date
  readonly storedAt: Date
}

/** Which leads to list: by page from 1, or from a cursor on. */
export interface LeadListing {
  readonly limit: number
  readonly page?: number | undefined
  readonly cursor?: string | undefined
  readonly status?: string | undefined
  readonly email?: string | undefined
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
}
