import { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common'

/**
 * How hard a password is to guess, from 0 to 4, by zxcvbn: it knows tens of thousands of common passwords, also in disguise, and patterns of
 * dates, keys and repetitions. `words` are the owner's, which attackers try first.
 */
export function passwordStrength(password: string, words: readonly string[]): number {
  const estimate = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs })
  return estimate.check(password, [...words]).score
}
