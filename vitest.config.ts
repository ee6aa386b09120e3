import { defineConfig } from 'vitest/config'
import { scoreReporter } from './deploy/local/src/score-reporter.ts'

const ignored = ['**/node_modules/**', '**/dist/**', '.millrace/**']

/** How long `expect.poll` asks again: a bound for what never comes. The default of 1 s is less than a busy machine takes to start a process. */
const patient = { expect: { poll: { timeout: 30_000 } } }

/** What every project that speaks to servers needs. */
const withServers = {
  ...patient,
  // For what hangs: a hook starts processes and servers, of which each may take a minute on a machine with twenty processes waiting.
  testTimeout: 120_000,
  hookTimeout: 240_000,
  // One file at a time: the files share one set of servers and two cores, and several measure deadlines.
  fileParallelism: false,
}

/**
 * Four projects. `unit` needs nothing but this checkout. `integration` speaks to real servers and starts what it tests; `e2e` speaks to
 * the whole running stack. `security` attacks gateways of its own, and the running stack. They take the addresses from the MILLRACE_*
 * variables, which `npm test` sets and `npm start` writes down.
 */
export default defineConfig({
  test: {
    reporters: ['default', scoreReporter(process.env.MILLRACE_TEST_REPORT)],
    projects: [
      {
        test: {
          name: 'unit',
          ...patient,
          include: ['**/*.test.ts', '**/*.test.tsx'],
          exclude: [...ignored, 'test/security/s*', '**/*.integration.test.ts', '**/*.e2e.test.ts'],
          // A deadline for what hangs, not for what is slow: on a machine with twenty processes waiting, a test of 0.7 s took 6 s.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['{deploy,services,storage,streams}/**/*.integration.test.ts'],
          exclude: ignored,
          ...withServers,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.test.ts'],
          exclude: ignored,
          ...withServers,
        },
      },
      {
        test: {
          name: 'security',
          ...patient,
          include: ['test/security/s*.test.ts'],
          exclude: ignored,
          // Hundreds of requests each, and a slow machine is no hole.
          testTimeout: 180_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
})
