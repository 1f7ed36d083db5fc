import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real sockets and child processes are part of the suite: a hung test must fail with its name, not with the runner's.
    testTimeout: 20_000,
    setupFiles: ['test/support/no-dead-letters.ts'],
    pool: 'forks',
    // Files share their worker's modules: loading them anew for each file took longer than all tests together.
    isolate: false,
    // One less than there are cores is the default: on two cores the second would look on.
    maxWorkers: 2,
  },
})
