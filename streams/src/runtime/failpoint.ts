/** Places between the steps of a commit, and in recovery, where a test may stop a process, or make it fail. */
export const failpoints = [
  'commit:prepared',
  'commit:sent',
  'commit:offsets-added',
  'commit:committed',
  'commit:stored',
  'recovery:written',
  'recovery:restored',
] as const
export type FailpointName = (typeof failpoints)[number]

/** Called and awaited at each place. Nothing by default. */
export type Failpoint = (name: FailpointName) => void | Promise<void>
