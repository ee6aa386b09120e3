import { secretMatches } from '@millrace/storage/accounts'
import { apiKeysMax, StorageError } from '@millrace/storage/mysql'
import type {
  Account,
  AccountStores,
  ApiKeyKeeper,
  ApiKeyState,
  ApiKeyStore,
  AuditLog,
  LoginAttemptStore,
  NewSession,
  Refresh,
  SessionState,
  SessionStore,
} from '../src/accounts/ports.ts'

type AuditNote = Parameters<AuditLog['append']>[0]

/** The stores of accounts in memory: as strict as MySQL's, for one process. */
export class MemoryAccounts implements AccountStores {
  /** By lower-case username. */
  readonly byName = new Map<string, Account>()
  readonly keys = new Map<string, ApiKeyState>()
  readonly keyUses = new Map<string, number>()
  readonly notes: AuditNote[] = []
  /** Keys that were made and revoked, and by whom. */
  readonly keyChanges: Record<string, string>[] = []
  readonly #labels = new Map<string, string>()
  /** Every read of states, by the ids that were asked for. */
  readonly reads: string[][] = []
  /** What every method throws while it is set. */
  failure: Error | undefined
  readonly #nowMs: () => number
  readonly #sessions = new Map<string, NewSession & { refreshHash: string; ended: boolean; refreshedMs: number }>()
  readonly #attempts = new Map<string, { attempts: number; windowEndsAtMs: number }>()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  readonly users = {
    findByUsername: async (username: string) => {
      this.#answer()
      return this.byName.get(username.toLowerCase())
    },
  }

  readonly sessions: SessionStore = {
    open: async (session) => {
      this.#answer()
      this.#sessions.set(session.id, { ...session, ended: false, refreshedMs: this.#nowMs() })
    },
    refresh: async (refresh) => {
      this.#answer()
      return this.#refresh(refresh)
    },
    end: async (id) => {
      this.#answer()
      this.#endSession(id)
    },
    states: async (ids) => {
      this.reads.push([...ids])
      this.#answer()
      return ids.flatMap((id) => this.#state(id) ?? [])
    },
    deleteExpired: async () => 0,
  }

  readonly apiKeys: ApiKeyStore & ApiKeyKeeper = {
    states: async (ids) => {
      this.reads.push([...ids])
      this.#answer()
      return ids.flatMap((id) => this.keys.get(id) ?? [])
    },
    noteUses: async (uses) => {
      this.#answer()
      for (const [id, atMs] of uses) this.keyUses.set(id, atMs)
    },
    newest: async ({ username, limit }) => {
      this.#answer()
      const found = [...this.keys.values()].filter((key) => username === undefined || key.username === username)
      const shown = found.map((key) => ({
        ...key,
        label: this.#labels.get(key.id) ?? '',
        createdAtMs: this.#nowMs(),
        lastUsedAtMs: this.keyUses.get(key.id) ?? null,
      }))
      return shown.reverse().slice(0, limit)
    },
    create: async ({ label, ...key }, by) => {
      this.#answer()
      const owner = [...this.byName.values()].find(({ username }) => username === key.username)
      const isFull = [...this.keys.values()].filter(({ userId }) => userId === owner?.id).length >= apiKeysMax
      if (owner === undefined || isFull) throw new StorageError('ROW_REFUSED', 'refused')
      const { id: userId, role, disabled } = owner
      this.keys.set(key.id, { ...key, userId, role, disabled, revoked: false })
      this.#labels.set(key.id, label)
      this.keyChanges.push({ action: 'created', id: key.id, ...by })
    },
    revoke: async (id, by) => {
      this.#answer()
      const key = this.keys.get(id)
      if (key === undefined || key.revoked) return false
      this.keys.set(id, { ...key, revoked: true })
      this.keyChanges.push({ action: 'revoked', id, ...by })
      return true
    },
  }

  readonly attempts: LoginAttemptStore = {
    begin: async (nameHash, windowMs) => {
      this.#answer()
      const known = this.#attempts.get(nameHash)
      const isOver = known === undefined || known.windowEndsAtMs <= this.#nowMs()
      const counted = isOver
        ? { attempts: 1, windowEndsAtMs: this.#nowMs() + windowMs }
        : { ...known, attempts: known.attempts + 1 }
      this.#attempts.set(nameHash, counted)
      return counted
    },
    succeeded: async (nameHash) => {
      this.#attempts.delete(nameHash)
    },
    undo: async (nameHash) => {
      const known = this.#attempts.get(nameHash)
      if (known !== undefined) this.#attempts.set(nameHash, { ...known, attempts: known.attempts - 1 })
    },
    deleteExpired: async () => 0,
  }

  readonly audit: AuditLog = {
    append: async (note) => {
      this.#answer()
      this.notes.push(note)
    },
  }

  /** A session that was opened before the test began. */
  addSession(session: Omit<SessionState, 'disabled' | 'ended'>): void {
    const { id, userId, username, role } = session
    if (![...this.byName.values()].some((account) => account.id === userId)) {
      const account = { id: userId, username, role, passwordHash: '', disabled: false }
      this.byName.set(`${username} ${userId}`, account)
    }
    const token = { refreshId: id, refreshHash: '' }
    this.#sessions.set(id, { ...session, ...token, requestId: '', ended: false, refreshedMs: this.#nowMs() })
  }

  /** Changes an account, as somebody else does it in the database. */
  change(userId: string, change: Partial<Account>): void {
    for (const [name, account] of this.byName) {
      if (account.id === userId) this.byName.set(name, { ...account, ...change })
    }
  }

  #endSession(id: string): void {
    const session = this.#sessions.get(id)
    if (session !== undefined) session.ended = true
  }

  #state(id: string): SessionState | undefined {
    const session = this.#sessions.get(id)
    const account = [...this.byName.values()].find((one) => one.id === session?.userId)
    if (session === undefined || account === undefined) return undefined
    const { username, role, disabled } = account
    const { userId, ended, expiresAtMs } = session
    return { id, userId, username, role, disabled, ended, expiresAtMs }
  }

  #refresh({ refreshId, secret, nextHash, idleMsMax }: Refresh): Awaited<ReturnType<SessionStore['refresh']>> {
    const session = [...this.#sessions.values()].find((one) => one.refreshId === refreshId)
    const state = session === undefined ? undefined : this.#state(session.id)
    if (session === undefined || state === undefined || session.ended || session.expiresAtMs <= this.#nowMs()) {
      return { outcome: 'refused' }
    }
    if (!secretMatches(secret, session.refreshHash)) {
      session.ended = true
      return { outcome: 'reused', sessionId: session.id }
    }
    if (state.disabled || this.#nowMs() - session.refreshedMs > idleMsMax) return { outcome: 'refused' }
    this.#sessions.set(session.id, { ...session, refreshHash: nextHash, refreshedMs: this.#nowMs() })
    return { outcome: 'refreshed', session: state }
  }

  #answer(): void {
    if (this.failure !== undefined) throw this.failure
  }
}
