import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MeasuredProcess } from '../measured-process.ts'
import type { OursSettings } from './ours-process.ts'

const program = join(import.meta.dirname, 'ours-process.ts')

/** How a process of ours is started. */
export interface OursOptions {
  readonly settings: OursSettings
  /** The old generation of V8's heap; the JVM's side has as much. */
  readonly heapMb: number
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly profileFolder: string | undefined
}

/** The young generation, per half, and the arenas of the C library, that the product gives its processor. */
export const youngMb = 16
const mallocArenas = 2

/** Starts our side. */
export function startOurs({ settings, heapMb, environment, profileFolder }: OursOptions): MeasuredProcess {
  const profile = profileFolder === undefined ? {} : { profileFile: profileFile(profileFolder, settings) }
  return new MeasuredProcess({
    title: `our side of "${settings.program}"`,
    command: process.execPath,
    args: [
      `--max-old-space-size=${heapMb}`,
      `--max-semi-space-size=${youngMb}`,
      program,
      JSON.stringify({ ...settings, ...profile }),
    ],
    environment: { ...environment, MALLOC_ARENA_MAX: String(mallocArenas) },
  })
}

function profileFile(folder: string, { applicationId, measure }: OursSettings): string {
  mkdirSync(folder, { recursive: true })
  return join(resolve(folder), `${applicationId}-${measure}.cpuprofile`)
}
