import { expect } from 'vitest'

/** Switches of a test file: true is the product as it is. The mocks of that file look at them. */
export type Defences = Record<string, boolean>

/**
 * Runs an attack's assertions where one defence is taken out: they must fail, and as assertions. An attack that is refused either way would
 * prove nothing, and a test that passes either way tests nothing.
 */
export async function mustFailWithout(defences: Defences, name: string, attack: () => Promise<unknown>): Promise<void> {
  expect(Object.keys(defences)).toContain(name)
  defences[name] = false
  try {
    await mustFail(attack)
  } finally {
    defences[name] = true
  }
}

/** The same, for attacks that bring a gateway without the defence themselves. */
export async function mustFail(attack: () => Promise<unknown>): Promise<void> {
  let failure: unknown
  try {
    await attack()
  } catch (error) {
    failure = error
  }
  const name = failure instanceof Error ? failure.name : failure
  expect(name, `the attack's test passes without the defence (${String(failure)})`).toBe('AssertionError')
}
