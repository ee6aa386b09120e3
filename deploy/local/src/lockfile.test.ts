import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

it('package-lock.json names the optional packages of every platform, or `npm ci` would refuse it', () => {
  const { packages } = JSON.parse(readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8'))
  const missing: string[] = []
  for (const path of Object.keys(packages)) {
    for (const name of Object.keys(packages[path].optionalDependencies ?? {})) {
      const key = `node_modules/${name}`
      if (packages[key] === undefined && packages[`${path}/${key}`] === undefined) missing.push(name)
    }
  }
  expect(missing, 'run `npm run lockfile`').toEqual([])
})
