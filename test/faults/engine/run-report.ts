import type { Verdict } from '../suite.ts'
import { type CheckResult, checkText } from './checks.ts'
import { type Evidence, evidenceText } from './evidence.ts'
import { type FaultRecord, faultText } from './fault-runner.ts'
import type { Instances } from './instances.ts'

/** What a run found, to be told. */
export interface RunFindings {
  readonly faults: readonly FaultRecord[]
  readonly instances: Instances
  readonly evidence: readonly Evidence[]
  readonly checks: readonly CheckResult[]
  /** Transactions with an abort marker in the log. */
  readonly abortedTransactions: number
}

/** Whatever is broken makes it fail; without evidence that the faults hit, that nothing broke shows nothing. */
export function verdictOf({ checks, evidence }: Pick<RunFindings, 'checks' | 'evidence'>): Verdict {
  if (checks.some(({ broken }) => broken.length > 0)) return 'failed'
  return evidence.some(({ found, needed }) => found < needed) ? 'invalid' : 'passed'
}

/** The whole report, but its last line. */
export function reportText(findings: RunFindings): string {
  const { faults, evidence, checks } = findings
  return [
    '',
    'Faults',
    ...faults.map(faultText),
    '',
    'What the engine did',
    ...deeds(findings),
    '',
    ...judgement({ evidence, checks }),
  ].join('\n')
}

/** What the verdict rests on: whether the faults hit, and what holds. */
export function judgement(
  { evidence, checks }: Pick<RunFindings, 'checks' | 'evidence'>,
  faults = 'faults',
): readonly string[] {
  return [`Did the ${faults} hit?`, ...evidence.map(evidenceText), '', 'Does it hold?', ...checks.map(checkText), '']
}

/** The last line. */
export function verdictText(verdict: Verdict): string {
  return verdict === 'invalid' ? 'INVALID: the faults did not hit, so that this run shows nothing' : verdict
}

function deeds({ instances, abortedTransactions }: RunFindings): readonly string[] {
  let [commits, records, changelogRecords] = [0, 0, 0]
  for (const report of instances.reports('committed')) {
    commits += report.commits
    records += report.records
    changelogRecords += report.changelogRecords
  }
  const restored = instances.reports('restored').filter((report) => report.records > 0)
  const codes = new Map<string, number>()
  for (const { code } of instances.reports('restarted')) codes.set(code, (codes.get(code) ?? 0) + 1)
  return [
    `  ${instances.all.length} processes; ${commits} commits of ${records} records and ${changelogRecords} changelog records`,
    `  ${abortedTransactions} transactions aborted, by their markers in the log`,
    `  ${restored.length} restores of ${restored.reduce((sum, report) => sum + report.records, 0)} records`,
    `  dropped its work and began anew: ${[...codes].map(([code, times]) => `${code} ${times}×`).join(', ') || 'never'}`,
  ]
}
