/** What of vitest's JSON report is looked at. */
export interface AttackReport {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly title: string
      readonly ancestorTitles: readonly string[]
    }[]
  }[]
}

/** Every attack, by its number. Each has a file of its own, called by it. */
export const attacks = [
  'S01',
  'S02',
  'S03',
  'S04',
  'S05',
  'S06',
  'S07',
  'S08',
  'S09',
  'S10',
  'S11',
  'S12',
  'S13',
  'S14',
  'S15',
  'S16',
  'S17',
] as const

/** How an attack went. */
export interface AttackScore {
  readonly attack: string
  readonly title: string
  readonly passed: number
  readonly failed: number
  /** Of those that passed: tests that the attack is noticed where its defence is missing. */
  readonly proofs: number
}

/** The scores of `wanted`, in their order. A file that failed outside of its tests counts as a failure. */
export function scoresOf(report: AttackReport, wanted: readonly string[] = attacks): readonly AttackScore[] {
  const tests = report.testResults.flatMap((file) => {
    const broken = file.status === 'failed' && file.assertionResults.every(({ status }) => status !== 'failed')
    const attack = /\/(s\d\d)-[^/]*$/.exec(file.name)?.[1]?.toUpperCase() ?? ''
    const own = file.assertionResults.map((test) => ({ attack, ...test }))
    return broken ? [...own, { attack, status: 'failed', title: '', ancestorTitles: [] }] : own
  })
  return wanted.map((attack) => {
    const own = tests.filter((test) => test.attack === attack)
    const passed = own.filter(({ status }) => status === 'passed')
    return {
      attack,
      title: own[0]?.ancestorTitles[0]?.replace(/^S\d\d /, '') ?? '',
      passed: passed.length,
      failed: own.filter(({ status }) => status === 'failed').length,
      proofs: passed.filter(({ title }) => title.startsWith('proof: ')).length,
    }
  })
}

/** Whether each was tried and none failed. */
export function isWhole(scores: readonly AttackScore[]): boolean {
  return scores.length > 0 && scores.every(({ passed, failed }) => passed > 0 && failed === 0)
}

/** One line for each attack. */
export function scoreLines(scores: readonly AttackScore[]): readonly string[] {
  return scores.map(({ attack, title, passed, failed, proofs }) => {
    const verdict = failed > 0 ? 'FAILED' : passed > 0 ? 'passed' : 'NOT TRIED'
    const counts = `${passed} passed, ${failed} failed, ${proofs} of them proofs`
    return `  ${attack}  ${verdict.padEnd(9)}  ${counts.padEnd(38)}  ${title}`
  })
}
