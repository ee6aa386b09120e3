import { expect, it } from 'vitest'
import { processFigures } from './process-figures.ts'

it('reads the CPU and the memory of a process', () => {
  const { cpuMs, residentBytes } = processFigures(process.pid)
  expect(cpuMs).toBeGreaterThan(0)
  expect(residentBytes).toBeGreaterThan(process.memoryUsage.rss() / 2)
})

it('has nothing to say of one that is gone', () => {
  expect(processFigures(-1)).toEqual({ cpuMs: 0, residentBytes: 0 })
})
