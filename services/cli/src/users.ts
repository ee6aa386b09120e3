import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { hashPassword, parseRole, roles } from '@millrace/storage/accounts'
import { StorageError, type UserChange, type UserRepository } from '@millrace/storage/mysql'
import { CommandError } from './command-error.ts'
import {
  passwordCharsMax,
  passwordCharsMin,
  passwordCharsWanted,
  passwordStrengthMin,
  usernameCharsMax,
} from './limits.ts'
import { passwordStrength } from './password-strength.ts'
import { table } from './table.ts'

/** What `millrace users` works on. */
export interface UsersDeps {
  readonly users: Pick<UserRepository, 'list' | 'create' | 'update'>
  /** A password from standard input: on a command line everybody on the machine could read it. */
  readonly readPassword: () => Promise<string>
  readonly print: (line: string) => void
  readonly tell: (line: string) => void
}

const usage =
  'millrace users list | create NAME --role ROLE | password NAME | role NAME ROLE | disable NAME | enable NAME'

/** Who did it, in the audit log. */
const actor = 'command-line'
/** One spelling only: the database takes letters with and without accents for the same. */
const usernamePattern = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,${usernameCharsMax - 1}}$`)

/** `millrace users …`. Throws `CommandError`, and what the repository throws. */
export async function runUsers(args: readonly string[], deps: UsersDeps): Promise<void> {
  const [command, name, value, ...rest] = args
  if (command === 'create' && name !== undefined) return await create(args.slice(1), deps)
  if (rest.length > 0 || (value !== undefined && command !== 'role')) throw new CommandError('USAGE', usage)
  if (command === 'list' && name === undefined) return await list(deps)
  if (name !== undefined) {
    if (command === 'password') return await change(name, { passwordHash: await readHash(name, deps) }, deps)
    if (command === 'role' && value !== undefined) return await change(name, { role: roleOf(value) }, deps)
    if (command === 'disable') return await change(name, { disabled: true }, deps)
    if (command === 'enable') return await change(name, { disabled: false }, deps)
  }
  throw new CommandError('USAGE', usage)
}

async function list({ users, print }: UsersDeps): Promise<void> {
  const rows = (await users.list()).map((user) => [
    user.username,
    user.role,
    user.disabled ? 'disabled' : 'good',
    user.updatedAt.toISOString(),
    user.id,
  ])
  for (const line of table(['USER', 'ROLE', 'STATE', 'CHANGED', 'ID'], rows)) print(line)
}

async function create(args: readonly string[], deps: UsersDeps): Promise<void> {
  const { username, role } = readCreate(args)
  const passwordHash = await readHash(username, deps)
  try {
    await deps.users.create({ id: randomUUID(), username, passwordHash, role }, actor)
  } catch (error) {
    const isTaken = error instanceof StorageError && error.code === 'ROW_REFUSED'
    throw isTaken ? new CommandError('REFUSED', `there is an account "${username}" already`) : error
  }
  deps.tell(`Account ${username} with the role ${role} is made.`)
}

function readCreate(args: readonly string[]) {
  let parsed: { values: { role?: string | undefined }; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...args], options: { role: { type: 'string' } }, allowPositionals: true })
  } catch (error) {
    throw new CommandError('USAGE', error instanceof Error ? error.message : String(error))
  }
  const [username = '', ...more] = parsed.positionals
  if (more.length > 0) throw new CommandError('USAGE', usage)
  if (!usernamePattern.test(username)) {
    const rule = `1 to ${usernameCharsMax} of letters, digits and . _ @ -, the first a letter or digit`
    throw new CommandError('USAGE', `"${username}" is no username: it must have ${rule}`)
  }
  return { username, role: roleOf(parsed.values.role ?? '') }
}

async function change(username: string, change: UserChange, { users, tell }: UsersDeps): Promise<void> {
  if (!(await users.update(username, change, actor))) {
    throw new CommandError('REFUSED', `there is no account "${username}"`)
  }
  tell(`Account ${username} is changed. Its sessions are over: every gateway refuses them within seconds.`)
}

function roleOf(name: string): string {
  const role = parseRole(name)
  if (role === undefined) throw new CommandError('USAGE', `"${name}" is no role: there are ${roles.join(', ')}`)
  return role
}

async function readHash(username: string, { readPassword }: UsersDeps): Promise<string> {
  const password = (await readPassword()).normalize('NFKC')
  const length = [...password].length
  if (length < passwordCharsMin || length > passwordCharsMax) {
    const bounds = `${passwordCharsMin} to ${passwordCharsMax}`
    throw new CommandError('REFUSED', `the password must have ${bounds} characters; it has ${length}`)
  }
  if (password.toLowerCase().includes(username.toLowerCase())) {
    throw new CommandError('REFUSED', 'the password must not contain the username')
  }
  if (new Set(password).size < 5)
    throw new CommandError('REFUSED', 'the password must have at least 5 different characters')
  if (passwordStrength(password, [username, 'millrace']) < passwordStrengthMin) {
    const advice = `take ${passwordCharsWanted} or more characters at random, or several words that have nothing to do with each other`
    throw new CommandError('REFUSED', `the password is common, or easy to guess from common ones: ${advice}`)
  }
  return await hashPassword(password)
}
