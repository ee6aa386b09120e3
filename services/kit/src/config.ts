import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { KitError } from './errors.ts'
import { envValueBytesMax } from './limits.ts'

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What reading one variable gave: a value, or a sentence that says what is wrong and what would be right. */
export type FieldResult<T> = { readonly value: T } | { readonly problem: string }

/** One variable of a service: its name, and how its text becomes a value. Made by `envString`, `envInt`, … */
export interface EnvField<T> {
  readonly variable: string
  read(env: Environment): FieldResult<T>
}

/** The frozen result of `readEnv`: one value per key of the specification. */
export type EnvConfig<S extends Record<string, EnvField<unknown>>> = {
  readonly [K in keyof S]: S[K] extends EnvField<infer T> ? T : never
}

/**
 * Reads every variable of `spec` once and freezes the result. `rules` adds what concerns several values and returns a
 * sentence per fault; it is asked only when every single value is right.
 * Throws `INVALID_CONFIG` with every problem at once: the service then exits with 78 (`runMain` does that).
 */
export function readEnv<S extends Record<string, EnvField<unknown>>>(
  spec: S,
  env: Environment,
  rules: (config: EnvConfig<S>) => readonly string[] = () => [],
): EnvConfig<S> {
  const values: Record<string, unknown> = {}
  const problems: string[] = []
  for (const [key, field] of Object.entries(spec)) {
    const result = field.read(env)
    if ('problem' in result) problems.push(`${field.variable} ${result.problem}`)
    else values[key] = result.value
  }
  // The loop above gave every key of the specification its field's value; the compiler cannot follow that.
  const config = Object.freeze(values) as EnvConfig<S>
  if (problems.length === 0) problems.push(...rules(config))
  if (problems.length > 0) {
    const list = problems.map((problem) => `\n  - ${problem}`).join('')
    throw new KitError('INVALID_CONFIG', `${problems.length} problem(s) in the environment:${list}`, { problems })
  }
  return config
}

/** A text of `lengthMin` (default 1) to `lengthMax` (default 1,024) characters, matching `pattern` where there is one. */
export function envString(
  variable: string,
  options: { default?: string; lengthMin?: number; lengthMax?: number; pattern?: RegExp } = {},
): EnvField<string> {
  const { lengthMin = 1, lengthMax = 1_024, pattern } = options
  return field(variable, options.default, (text) => {
    if (text.length < lengthMin || text.length > lengthMax) {
      return { problem: `must have ${lengthMin} to ${lengthMax} characters; it has ${text.length}` }
    }
    if (pattern !== undefined && !pattern.test(text)) return { problem: `must match ${pattern}; got ${quote(text)}` }
    return { value: text }
  })
}

/** A whole number within `min` and `max`, both inclusive. */
export function envInt(variable: string, options: { default?: number; min: number; max: number }): EnvField<number> {
  const fallback = options.default === undefined ? undefined : String(options.default)
  return field(variable, fallback, (text) => {
    const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value) || value < options.min || value > options.max) {
      return { problem: `must be a whole number from ${options.min} to ${options.max}; got ${quote(text)}` }
    }
    return { value }
  })
}

/** A TCP port; 0 lets the system choose one. */
export function envPort(variable: string, options: { default?: number } = {}): EnvField<number> {
  return envInt(variable, { ...options, min: 0, max: 65_535 })
}

/** `true` or `false`. */
export function envBool(variable: string, options: { default?: boolean } = {}): EnvField<boolean> {
  const fallback = options.default === undefined ? undefined : String(options.default)
  return field(variable, fallback, (text) => {
    if (text !== 'true' && text !== 'false') return { problem: `must be true or false; got ${quote(text)}` }
    return { value: text === 'true' }
  })
}

/** One of `values`. */
export function envEnum<const V extends string>(
  variable: string,
  values: readonly V[],
  options: { default?: NoInfer<V> } = {},
): EnvField<V> {
  return field(variable, options.default, (text) => {
    const value = values.find((candidate) => candidate === text)
    return value === undefined ? { problem: `must be one of ${values.join(', ')}; got ${quote(text)}` } : { value }
  })
}

/** An absolute URL of one of `protocols` (default http and https), without credentials: those have variables of their own. A trailing slash is cut off. */
export function envUrl(
  variable: string,
  options: { default?: string; protocols?: readonly string[] } = {},
): EnvField<string> {
  const protocols = options.protocols ?? ['http:', 'https:']
  return field(variable, options.default, (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !protocols.includes(url.protocol)) {
      return { problem: `must be a URL starting with ${protocols.map((p) => `${p}//`).join(' or ')}` }
    }
    if (url.username !== '' || url.password !== '') return { problem: 'must not hold a user or password' }
    return { value: text.replace(/\/+$/, '') }
  })
}

/** Comma-separated texts, trimmed, none empty, each matching `pattern` where there is one. */
export function envList(
  variable: string,
  options: { default?: string; itemsMax?: number; pattern?: RegExp } = {},
): EnvField<readonly string[]> {
  const { itemsMax = 64, pattern } = options
  return field(variable, options.default, (text) => {
    const items = text.split(',').map((item) => item.trim())
    if (items.length > itemsMax) return { problem: `must have at most ${itemsMax} items; it has ${items.length}` }
    if (items.includes('')) return { problem: 'must not have empty items between its commas' }
    const wrong = pattern === undefined ? undefined : items.find((item) => !pattern.test(item))
    if (wrong !== undefined) return { problem: `has the item ${quote(wrong)}, which must match ${pattern}` }
    return { value: Object.freeze(items) }
  })
}

/** `host:port` addresses, comma separated. */
export function envAddresses(variable: string, options: { default?: string } = {}): EnvField<readonly string[]> {
  return envList(variable, { ...options, pattern: /^[^\s:,]+:\d{1,5}$/ })
}

/** IP addresses and networks (`10.0.0.0/8`, `fd00::/8`), comma separated. The network of all addresses is none. */
export function envNetworks(variable: string): EnvField<readonly string[]> {
  const list = envList(variable)
  return {
    variable,
    read(env) {
      const found = list.read(env)
      const wrong = 'value' in found ? found.value.find((item) => !isNetwork(item)) : undefined
      if (wrong === undefined) return found
      return { problem: `has the item ${quote(wrong)}, which is no IP address and no network as 10.0.0.0/8` }
    },
  }
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0
  if (bits === 0 || rest.length > 0) return false
  return prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= bits)
}

/**
 * A secret: `NAME`, or a file named by `NAME_FILE` (its last line break is cut off), never both. Its text never
 * appears in a problem.
 */
export function envSecret(variable: string, options: { default?: string; bytesMin?: number } = {}): EnvField<string> {
  const bytesMin = options.bytesMin ?? 0
  const fileVariable = `${variable}_FILE`
  return {
    variable,
    read(env) {
      const text = present(env[variable])
      const file = present(env[fileVariable])
      if (text !== undefined && file !== undefined) return { problem: `and ${fileVariable} are both set: keep one` }
      const fromFile = file === undefined ? undefined : readSecretFile(fileVariable, file)
      if (fromFile !== undefined && 'problem' in fromFile) return fromFile
      const secret = fromFile?.value ?? text ?? options.default
      if (secret === undefined) return { problem: `is not set and has no default (or set ${fileVariable})` }
      const bytes = Buffer.byteLength(secret)
      if (bytes < bytesMin) return { problem: `must have at least ${bytesMin} bytes; it has ${bytes}` }
      return { value: secret }
    },
  }
}

/** The same field, but undefined instead of a problem when the variable is not set. */
export function envOptional<T>(inner: EnvField<T>): EnvField<T | undefined> {
  return {
    variable: inner.variable,
    read(env) {
      const set = present(env[inner.variable]) ?? present(env[`${inner.variable}_FILE`])
      return set === undefined ? { value: undefined } : inner.read(env)
    },
  }
}

function field<T>(
  variable: string,
  fallback: string | undefined,
  parse: (text: string) => FieldResult<T>,
): EnvField<T> {
  return {
    variable,
    read(env) {
      const text = present(env[variable]) ?? fallback
      if (text === undefined) return { problem: 'is not set and has no default' }
      if (text.length > envValueBytesMax) return { problem: `must have at most ${envValueBytesMax} characters` }
      return parse(text)
    },
  }
}

/** An empty variable counts as not set: compose files and shells pass those. */
function present(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}

function readSecretFile(variable: string, path: string): FieldResult<string> {
  try {
    const bytes = statSync(path).size
    if (bytes > envValueBytesMax)
      return { problem: `: the file of ${variable} has ${bytes} bytes, over ${envValueBytesMax}` }
    return { value: readFileSync(path, 'utf8').replace(/\r?\n$/, '') }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return { problem: `: the file of ${variable} cannot be read: ${reason}` }
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
