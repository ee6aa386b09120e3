/** What is personal of a lead. */
export interface PersonalFields {
  readonly first_name: string
  readonly last_name: string
  readonly email: string
  readonly phone: string | null
  /** YYYY-MM-DD. */
  readonly date_of_birth: string | null
  readonly address: string | null
  readonly city: string | null
  readonly postal_code: string | null
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null
}

/** A lead in the clear, as it was submitted: before it is sealed. */
export interface PlainLead extends PersonalFields {
  readonly lead_id: string
  readonly source: string | null
  readonly campaign: string | null
  readonly consent: boolean | null
  /** A JSON object's text. */
  readonly attributes: string
  /** SHA-256, in hex, of the submitted content. */
  readonly content_hash: string
  readonly submitted_by: string
  readonly request_id: string
  readonly received_at: number
}
