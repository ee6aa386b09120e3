/** An account, as far as login needs it. */
export interface Account {
  readonly id: string
  readonly username: string
  /** As `hashPassword` wrote it. */
  readonly passwordHash: string
  readonly role: string
  readonly disabled: boolean
}

/** Where accounts are kept. */
export interface AccountStore {
  /** Without regard to case; undefined when there is none. Throws when the store does not answer. */
  findByUsername(username: string): Promise<Account | undefined>
}
