import { parseArgs } from 'node:util'
import {
  formatApiKey,
  hashSecret,
  makeApiKey,
  parseRole,
  parseScope,
  roleScopes,
  type Scope,
  scopes,
} from '@millrace/storage/accounts'
import { type ApiKeyRepository, type ListedApiKey, StorageError, type UserRepository } from '@millrace/storage/mysql'
import { CommandError } from './command-error.ts'
import { keyDaysDefault, keyDaysMax, keyLabelCharsMax } from './limits.ts'
import { table } from './table.ts'

/** What `millrace keys` works on. */
export interface KeysDeps {
  readonly keys: Pick<ApiKeyRepository, 'create' | 'list' | 'revoke'>
  readonly users: Pick<UserRepository, 'findByUsername'>
  readonly nowMs: () => number
  /** To standard output: what a script takes. */
  readonly print: (line: string) => void
  /** To standard error: what a person reads. */
  readonly tell: (line: string) => void
}

/** Who made it, in the audit log. */
const actor = 'command-line'
const dayMs = 86_400_000

/** `millrace keys …`. Throws `CommandError`, and what the repositories throw. */
export async function runKeys(args: readonly string[], deps: KeysDeps): Promise<void> {
  const [command, ...rest] = args
  if (command === 'create') return await create(rest, deps)
  if (command === 'list' && rest.length <= 1) return await list(rest[0], deps)
  if (command === 'revoke' && rest.length === 1) return await revoke(rest[0] ?? '', deps)
  throw new CommandError('USAGE', 'millrace keys create USER --scopes SCOPE,… | list [USER] | revoke ID')
}

async function create(args: readonly string[], { keys, users, nowMs, print, tell }: KeysDeps): Promise<void> {
  const { username, granted, label, days } = readCreate(args)
  const owner = await users.findByUsername(username)
  const role = parseRole(owner?.role)
  if (owner === undefined || role === undefined) throw new CommandError('REFUSED', `there is no account "${username}"`)
  const beyond = granted.filter((scope) => !roleScopes(role).includes(scope))
  if (beyond.length > 0) {
    const has = roleScopes(role).join(', ')
    throw new CommandError(
      'REFUSED',
      `the role ${role} of "${username}" has ${has}: it cannot give ${beyond.join(', ')}`,
    )
  }
  const key = makeApiKey()
  const expiresAtMs = nowMs() + days * dayMs
  const secretHash = hashSecret(key.secret)
  await keys
    .create({ id: key.id, secretHash, username, label, scopes: granted, expiresAtMs }, actor)
    .catch((error: unknown) => {
      const refusal = error instanceof StorageError ? error.refusal : undefined
      throw refusal === undefined ? error : new CommandError('REFUSED', refusal)
    })
  print(formatApiKey(key))
  tell(`Key ${key.id} for ${username}: ${granted.join(', ')}, until ${isoDay(expiresAtMs)}. It is not shown again.`)
}

function readCreate(args: readonly string[]) {
  const options = { scopes: { type: 'string' }, label: { type: 'string' }, days: { type: 'string' } } as const
  const { values, positionals } = parse(args, options)
  const [username, ...more] = positionals
  if (username === undefined || more.length > 0)
    throw new CommandError('USAGE', 'name one account: millrace keys create USER')
  const names = (values.scopes ?? '').split(',').filter((name) => name !== '')
  const granted: Scope[] = []
  for (const name of names) {
    const scope = parseScope(name)
    if (scope === undefined) throw new CommandError('USAGE', `"${name}" is no scope: there are ${scopes.join(', ')}`)
    if (!granted.includes(scope)) granted.push(scope)
  }
  if (granted.length === 0)
    throw new CommandError('USAGE', `--scopes must name what the key is for: ${scopes.join(', ')}`)
  const label = values.label ?? ''
  if (label.length > keyLabelCharsMax) {
    throw new CommandError('USAGE', `--label has ${label.length} characters, over ${keyLabelCharsMax}`)
  }
  const days = values.days === undefined ? keyDaysDefault : Number(values.days)
  if (!Number.isInteger(days) || days < 1 || days > keyDaysMax) {
    throw new CommandError('USAGE', `--days must be a whole number from 1 to ${keyDaysMax}; got "${values.days}"`)
  }
  return { username, granted, label, days }
}

async function list(username: string | undefined, { keys, nowMs, print, tell }: KeysDeps): Promise<void> {
  const found = await keys.list(username)
  if (found.length === 0) return tell('There are no keys.')
  const rows = found.map((key) => [
    key.id,
    key.username,
    key.scopes.join(','),
    stateOf(key, nowMs()),
    isoDay(key.expiresAtMs),
    key.lastUsedAtMs === null ? 'never' : new Date(key.lastUsedAtMs).toISOString(),
    key.label,
  ])
  for (const line of table(['ID', 'USER', 'SCOPES', 'STATE', 'ENDS', 'LAST USED', 'LABEL'], rows)) print(line)
}

async function revoke(id: string, { keys, tell }: KeysDeps): Promise<void> {
  if (!(await keys.revoke(id, actor))) throw new CommandError('REFUSED', `there is no key "${id}" that is not revoked`)
  tell(`Key ${id} is revoked: every gateway refuses it within seconds.`)
}

function stateOf(key: ListedApiKey, nowMs: number): string {
  if (key.revoked) return 'revoked'
  if (key.disabled) return 'account disabled'
  return key.expiresAtMs <= nowMs ? 'expired' : 'good'
}

function isoDay(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10)
}

function parse<T extends { readonly [name: string]: { readonly type: 'string' } }>(
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw new CommandError('USAGE', error instanceof Error ? error.message : String(error))
  }
}
