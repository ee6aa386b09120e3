import type { CheckResult } from '../engine/checks.ts'
import type { Evidence } from '../engine/evidence.ts'
import { judgement, verdictOf, verdictText } from '../engine/run-report.ts'
import type { Verdict } from '../suite.ts'
import { requestKinds, type SentRequest } from './requests.ts'

/** What a run found, to be told. */
export interface GatewayFindings {
  readonly name: string
  readonly seed: number
  readonly evidence: readonly Evidence[]
  readonly checks: readonly CheckResult[]
  readonly sent: readonly SentRequest[]
  readonly report: (line: string) => void
}

/** Prints what was done, whether it hit, and what holds; answers the verdict. */
export function reportRun({ name, seed, evidence, checks, sent, report }: GatewayFindings): Verdict {
  const verdict = verdictOf({ checks, evidence })
  const lines = [
    '',
    'What was sent',
    ...requestKinds.map(
      (kind) => `  ${kind.padEnd(7)} ${outcomesText(sent.filter((request) => request.kind === kind))}`,
    ),
    '',
    ...judgement({ evidence, checks }, 'outages'),
    `seed ${seed}`,
    `faults: ${name}: ${verdictText(verdict)}`,
  ]
  for (const line of lines) report(line)
  return verdict
}

function outcomesText(sent: readonly SentRequest[]): string {
  const counts = new Map<string, number>()
  for (const { outcome } of sent) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  return [...counts].map(([outcome, count]) => `${outcome} ${count}`).join(', ')
}
