import { defineConfig } from 'vitest/config'

const ignored = ['**/node_modules/**', '**/dist/**', '.millrace/**']

/**
 * Two projects. `unit` needs nothing but this checkout; `integration` speaks to real servers, whose addresses
 * it takes from the MILLRACE_* variables (`npm test` sets them, `npm start -- --servers-only` prints them).
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts', '**/*.test.tsx'],
          exclude: [...ignored, '**/*.integration.test.ts', '**/*.e2e.test.ts'],
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['**/*.integration.test.ts', '**/*.e2e.test.ts'],
          exclude: ignored,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // One file at a time: the files share one set of servers and two cores, and several measure deadlines.
          fileParallelism: false,
        },
      },
    ],
  },
})
