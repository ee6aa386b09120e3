#!/usr/bin/env node
// Adds to package-lock.json the optional packages of other platforms that npm left out.
//
// npm drops them when it writes the lockfile beside an existing node_modules, or when a registry lacks one, and then
// `npm ci` refuses the lockfile on every machine. The entries need no more than a version and the platform: npm looks at the platform
// first and never asks for a package of another one. A unit test holds the lockfile complete; this is its fix.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('../../package-lock.json', import.meta.url))
const lock = JSON.parse(readFileSync(file, 'utf8'))
const added = []

for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key] !== undefined || lock.packages[`${path}/${key}`] !== undefined) continue
    const platform = platformOf(name)
    if (platform === undefined) {
      throw new Error(
        `${name} (of ${path}) is missing and its name tells no platform: run npm install with network access`,
      )
    }
    if (!/^\d+\.\d+\.\d+/.test(version))
      throw new Error(`${name} of ${path} is asked for as "${version}": no exact version`)
    lock.packages[key] = { version, dev: entry.dev, optional: true, ...platform }
    added.push(name)
  }
}

if (added.length > 0) {
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
}
process.stdout.write(
  added.length === 0 ? 'package-lock.json is complete\n' : `added ${added.length}: ${added.join(', ')}\n`,
)

/** `@oxlint/binding-linux-arm64-musl` is for linux, arm64, musl. */
function platformOf(name) {
  const parts = name.split(/[/-]/)
  const os = parts.find((part) => ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'].includes(part))
  const cpu = parts.find((part) => ['arm', 'arm64', 'ia32', 'ppc64', 'riscv64', 's390x', 'x64'].includes(part))
  if (os === undefined || cpu === undefined) return undefined
  const musl = parts.some((part) => part.startsWith('musl'))
  const libc =
    os === 'linux' && musl
      ? ['musl']
      : os === 'linux' && parts.some((part) => part.startsWith('gnu'))
        ? ['glibc']
        : undefined
  return { os: [os], cpu: [cpu], ...(libc && { libc }) }
}
