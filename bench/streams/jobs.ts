import type { ShapeName } from './event-shape.ts'
import type { OursSettings } from './ours-process.ts'
import type { RowKey } from './totals.ts'

/** Work that both sides do. */
export interface ComparedJob {
  readonly kind: 'input' | 'restore'
  readonly name: string
  /** For people. */
  readonly title: string
  readonly program: OursSettings['program']
  readonly by: RowKey
  readonly shape: ShapeName
  /** The ratio of CPU per record that is to be reached. */
  readonly cpuRatioTarget?: number
}

/** Work that only our side does. */
export interface OwnJob {
  readonly kind: 'latency' | 'memory'
  readonly name: string
  readonly title: string
}

/** A part of the bench, by the name that `--only` takes. */
export type Job = ComparedJob | OwnJob

/** All of them, in the order in which they run. */
export const jobs: readonly Job[] = [
  {
    kind: 'input',
    name: 'by-type',
    title: '10 event types, through a repartition',
    program: 'by-type',
    by: 'type',
    shape: 'random-users',
    cpuRatioTarget: 8,
  },
  {
    kind: 'input',
    name: 'by-user',
    title: '100,000 users, no repartition',
    program: 'by-user',
    by: 'user',
    shape: 'random-users',
  },
  {
    kind: 'input',
    name: 'general',
    title: 'by type, whole objects and plain functions',
    program: 'general',
    by: 'type',
    shape: 'random-users',
  },
  {
    kind: 'restore',
    name: 'restore',
    title: 'an empty state directory, a row per changelog record',
    program: 'by-user',
    by: 'user',
    shape: 'new-rows',
  },
  { kind: 'latency', name: 'latency', title: 'from the send of an event to its committed result' },
  { kind: 'memory', name: 'memory', title: 'every event another user, all in one window' },
]

/** How much is measured. */
export interface Sizes {
  /** Events of the compared jobs, and rows of the restore. */
  readonly events: number
  readonly latencySeconds: number
  readonly memoryKeys: number
}

/** The sizes of a full run and of a quick one. */
export const sizes: { readonly full: Sizes; readonly quick: Sizes } = {
  full: { events: 2_000_000, latencySeconds: 20, memoryKeys: 10_000_000 },
  quick: { events: 200_000, latencySeconds: 5, memoryKeys: 1_000_000 },
}
