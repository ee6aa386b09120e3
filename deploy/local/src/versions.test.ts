import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { versions } from './versions.ts'

const textOf = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

it('every version is exact', () => {
  for (const version of Object.values(versions)) expect(version).toMatch(/^\d+(\.\d+)+$/)
})

it('run.mjs, which can import nothing, brings the same Node', () => {
  expect(textOf('../run.mjs')).toContain(`const nodeVersion = '${versions.node}'`)
})
