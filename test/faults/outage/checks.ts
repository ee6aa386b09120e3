import type { CheckResult } from '../engine/checks.ts'
import { growthBytesMax, overloadedShareMax } from './limits.ts'
import type { SentRequest } from './outage-load.ts'

const mib = 1024 * 1024

/**
 * Whatever happens to the databases: every request is answered with 2xx. A gateway that says that it has too much to do is right to, on a busy machine, but not more
 * often than while the databases are there.
 */
export function checkAccepted(sent: readonly SentRequest[], isAway: (request: SentRequest) => boolean): CheckResult {
  const refused = new Map<string, number>()
  for (const { kind, status, code = '' } of sent) {
    if ((status >= 200 && status < 300) || code === 'OVERLOADED') continue
    const text = `${kind}: ${status === 0 ? 'no answer' : `${status} ${code}`}`
    refused.set(text, (refused.get(text) ?? 0) + 1)
  }
  const meanwhile = overloadedShare(sent.filter(isAway))
  const otherwise = overloadedShare(sent.filter((request) => !isAway(request)))
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  const words = `OVERLOADED to ${percent(meanwhile)} meanwhile, to ${percent(otherwise)} before and after`
  return {
    title: 'every request is answered with 2xx, before, meanwhile and after',
    looked: `${sent.length} requests; the gateway said ${words}`,
    broken: [
      ...[...refused].map(([text, times]) => `${text}, ${times} times`),
      ...(meanwhile <= Math.max(otherwise, overloadedShareMax) ? [] : [words]),
    ],
  }
}

function overloadedShare(sent: readonly SentRequest[]): number {
  return sent.filter(({ code }) => code === 'OVERLOADED').length / Math.max(sent.length, 1)
}

/** Two sets of ids, or counts by name, are the same. */
export function checkSame<T>(
  title: string,
  accepted: ReadonlyMap<string, T>,
  stored: ReadonlyMap<string, T>,
): CheckResult {
  const broken: string[] = []
  for (const name of new Set([...accepted.keys(), ...stored.keys()])) {
    const [told, found] = [accepted.get(name), stored.get(name)]
    if (told !== found) broken.push(`${name}: ${told ?? 'nothing'} was accepted, and ${found ?? 'nothing'} is stored`)
  }
  return { title, looked: `${accepted.size} accepted`, broken }
}

/** The memory of a process stays bounded, however long the databases are away. */
export function checkMemory(
  name: string,
  memory: { readonly baseBytes: number; readonly peakBytes: number },
): CheckResult {
  const { baseBytes, peakBytes } = memory
  const grown = peakBytes - baseBytes
  return {
    title: `the ${name} grows by at most ${growthBytesMax / mib} MiB`,
    looked: `${(baseBytes / mib).toFixed(0)} MiB in the calm, ${(peakBytes / mib).toFixed(0)} MiB at the most`,
    broken: grown <= growthBytesMax && baseBytes > 0 ? [] : [`it grew by ${(grown / mib).toFixed(0)} MiB`],
  }
}

/** The quantile `q` of the times of the requests that began in a span, in milliseconds; NaN when there were none. */
export function quantileMs(
  sent: readonly SentRequest[],
  q: number,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): number {
  const times = sent
    .filter(({ startedMs }) => startedMs >= fromMs && startedMs < toMs)
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b)
  return times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN
}
