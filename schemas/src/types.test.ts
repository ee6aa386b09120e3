import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { generateTypes } from './generate-types.ts'

it('types.generated.ts is what the schemas say (else run `npm run generate -w schemas`)', () => {
  expect(readFileSync(new URL('types.generated.ts', import.meta.url), 'utf8')).toBe(generateTypes())
})
