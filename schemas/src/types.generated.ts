// Generated from avro/*.avsc by `npm run generate -w schemas`. Do not edit.

/** One event as a producer sent it. The metadata object stays JSON text on the whole way: it is parsed once, at the gateway. */
export interface Event {
  /** The producer's id; resends collapse by it. */
  readonly event_id: string
  /** Also the record key. */
  readonly user_id: string
  readonly event_type: string
  /** Event time, from the producer. */
  readonly timestamp: number
  /** The number to average: metadata.value. */
  readonly value: number | null
  /** The metadata object as JSON text. */
  readonly metadata: string
  /** When the gateway took it in. */
  readonly received_at: number
  /** The principal that sent it. */
  readonly source: string
}

/** One lead as it was submitted. Its contents are sealed; those of records from before 0.2 are in fields of their own. The record key is lead_id. */
export interface Lead {
  /** UUID; UUIDv5 of principal and Idempotency-Key when a key was sent. */
  readonly lead_id: string
  /** This and what follows up to country: null where sealed is there. */
  readonly first_name: string | null
  readonly last_name: string | null
  readonly email: string | null
  readonly phone: string | null
  /** YYYY-MM-DD. */
  readonly date_of_birth: string | null
  readonly address: string | null
  readonly city: string | null
  readonly postal_code: string | null
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null
  readonly source: string | null
  readonly campaign: string | null
  readonly consent: boolean | null
  /** Further fields as a JSON object text; null where sealed is there. */
  readonly attributes: string | null
  /** SHA-256, in hex, of the submitted content; null where sealed is there. */
  readonly content_hash: string | null
  readonly submitted_by: string
  readonly request_id: string
  readonly received_at: number
  /** The tree of keys that this lead's key is a leaf of. */
  readonly key_tree: string | null
  readonly key_leaf: number | null
  /** Everything personal, the attributes and the hashes that they are found by: AES-256-GCM under this lead's own key. */
  readonly sealed: Buffer | null
}

/** What became of a lead, decided by the database. The record key is lead_id. */
export interface LeadOutcome {
  readonly lead_id: string
  /** The request whose submission this answers. */
  readonly request_id: string
  /** stored, duplicate, conflict, rejected or erased. */
  readonly outcome: string
  readonly reason: string | null
  /** Of a duplicate: the lead_id of the first; its own when the same lead came again. */
  readonly duplicate_of: string | null
  readonly decided_at: number
}

/** The statistics of one event type in one window. The record key is the text event_type@interval@window_start. */
export interface EventStats {
  readonly event_type: string
  /** 10s, 1m, 5m, 1h or 1d. */
  readonly interval: string
  /** Inclusive, aligned to the epoch. */
  readonly window_start: number
  /** Exclusive. */
  readonly window_end: number
  /** Events in the window. */
  readonly count: number
  /** Events in the window that had a value. */
  readonly value_count: number
  readonly sum: number
  /** sum / value_count; null without values. */
  readonly avg: number | null
  readonly min: number | null
  readonly max: number | null
  /** The window has come to rest. It changes, and is final again, only when more events arrive for it. */
  readonly final: boolean
  /** Wall clock of the processor. */
  readonly updated_at: number
}

/** Metadata of one API request and its response: no bodies, no personal data. The record key is request_id. */
export interface ApiLog {
  readonly request_id: string
  readonly method: string
  /** The route's pattern, not the path: ids stay out. */
  readonly route: string
  /** User id of the caller. */
  readonly principal: string | null
  readonly role: string | null
  readonly received_at: number
  readonly request_bytes: number
  readonly content_type: string | null
  readonly responded_at: number
  readonly status: number
  readonly response_bytes: number
  readonly duration_ms: number
  /** The problem's code. */
  readonly error_code: string | null
  /** Items taken, of routes that take several. */
  readonly accepted: number | null
  readonly rejected: number | null
}
