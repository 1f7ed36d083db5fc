import { defineConfig } from 'vitest/config'

export default defineConfig(({ mode }) => ({
  // The oldest release of XState that is allowed, by the name under which it is installed.
  resolve: { alias: mode === 'xstate-5-19' ? [{ find: /^xstate$/, replacement: 'xstate-5-19' }] : [] },
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:all` runs with `--mode all`.
    exclude: mode === 'all' ? [] : ['test/**/*.long.test.ts'],
    // Real sockets and child processes are part of the suite: a hung test must fail with its name, not with the
    // runner's.
    testTimeout: 20_000,
    setupFiles: ['test/support/no-dead-letters.ts'],
    pool: 'forks',
    // Files share the modules of their worker, since loading them for each file took as long as the tests themselves.
    isolate: false,
    // One less than there are cores is the default: on two cores the second would look on.
    maxWorkers: 2,
  },
}))
