import type { Scope } from '@millrace/storage/accounts'

/** An account, as far as login needs it. */
export interface Account {
  readonly id: string
  readonly username: string
  /** As `hashPassword` wrote it. */
  readonly passwordHash: string
  readonly role: string
  readonly disabled: boolean
}

/** Where accounts are kept. Every method of these ports throws when the store does not answer. */
export interface AccountStore {
  /** As the store compares names, which may be without regard to case and accents; undefined when there is none. */
  findByUsername(username: string): Promise<Account | undefined>
}

/** Whose a session is, and whether it is good. */
export interface SessionState {
  readonly id: string
  readonly userId: string
  readonly username: string
  readonly role: string
  readonly disabled: boolean
  readonly ended: boolean
  readonly expiresAtMs: number
}

/** A login to be kept. */
export interface NewSession {
  readonly id: string
  readonly userId: string
  readonly refreshId: string
  readonly refreshHash: string
  readonly expiresAtMs: number
  readonly requestId: string
}

/** A refresh token that was presented, and the hash of the next one. */
export interface Refresh {
  readonly refreshId: string
  readonly secret: string
  readonly nextHash: string
  readonly idleMsMax: number
  readonly requestId: string
}

/** Where sessions are kept: one for all gateways. */
export interface SessionStore {
  open(session: NewSession): Promise<void>
  /** Atomic: of several who present one token at the same time, one is `refreshed`; a token that was replaced before ends the session. */
  refresh(
    refresh: Refresh,
  ): Promise<
    | { readonly outcome: 'refreshed'; readonly session: SessionState }
    | { readonly outcome: 'reused'; readonly sessionId: string }
    | { readonly outcome: 'refused' }
  >
  /** Idempotent. */
  end(id: string, by: { readonly userId: string; readonly requestId: string }): Promise<void>
  /** Of those that exist, in any order. */
  states(ids: readonly string[]): Promise<readonly SessionState[]>
  /** Deletes some that have expired. */
  deleteExpired(): Promise<number>
}

/** Whose an API key is, and whether it is good. */
export interface ApiKeyState {
  readonly id: string
  readonly secretHash: string
  readonly userId: string
  readonly username: string
  readonly role: string
  readonly disabled: boolean
  readonly scopes: readonly Scope[]
  readonly expiresAtMs: number
  readonly revoked: boolean
}

/** Where API keys are kept. */
export interface ApiKeyStore {
  /** Of those that exist, in any order. */
  states(ids: readonly string[]): Promise<readonly ApiKeyState[]>
  /** Notes when keys were last used. */
  noteUses(uses: ReadonlyMap<string, number>): Promise<void>
}

/** An API key as it is shown. */
export interface KeptApiKey {
  readonly id: string
  readonly username: string
  readonly scopes: readonly Scope[]
  readonly label: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** Null when it never was. */
  readonly lastUsedAtMs: number | null
  readonly disabled: boolean
  readonly revoked: boolean
}

/** Who makes or revokes a key. */
export interface KeyAdministrator {
  readonly actor: string
  readonly requestId: string
}

/** Where API keys are made and revoked. Every change is audited together with it. */
export interface ApiKeyKeeper {
  /** Of one account, or of all; newest first. */
  newest(range: { readonly username?: string | undefined; readonly limit: number }): Promise<readonly KeptApiKey[]>
  /** Throws `ROW_REFUSED` when the account has as many as it may have. */
  create(
    key: Pick<KeptApiKey, 'id' | 'username' | 'scopes' | 'label' | 'expiresAtMs'> & { readonly secretHash: string },
    by: KeyAdministrator,
  ): Promise<void>
  /** Whether there was such a key that was not revoked. */
  revoke(id: string, by: KeyAdministrator): Promise<boolean>
}

/** Counts logins for all gateways together. */
export interface LoginAttemptStore {
  /** Counts an attempt and tells how many there were in the window, this one included. */
  begin(nameHash: string, windowMs: number): Promise<{ readonly attempts: number; readonly windowEndsAtMs: number }>
  succeeded(nameHash: string): Promise<void>
  undo(nameHash: string): Promise<void>
  /** Deletes some whose window is over. */
  deleteExpired(): Promise<number>
}

/** Takes notes of logins that failed, and of what is done to Kafka; what is done to the database is noted by the store that changes. */
export interface AuditLog {
  append(entry: {
    readonly action: 'authn_login_fail' | 'authn_login_lock' | 'dead_letters_replayed'
    readonly actor: string | null
    readonly subject: string | null
    readonly requestId: string
    readonly detail?: string
  }): Promise<void>
}

/** Everything about accounts that is stored. */
export interface AccountStores {
  readonly users: AccountStore
  readonly sessions: SessionStore
  readonly apiKeys: ApiKeyStore & ApiKeyKeeper
  readonly attempts: LoginAttemptStore
  readonly audit: AuditLog
}
