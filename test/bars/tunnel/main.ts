/**
 * `npm run bars:tunnel`. Owns the order of these checks. Independent of what a check does.
 */
import { runBars } from '../run.ts'

runBars(
  {
    command: 'npm run bars:tunnel',
    summary:
      'Web requests, a download, redis, PostgreSQL and rsync over ssh through a tunnel whose carrier is destroyed ' +
      'every 200 ms. What is not installed is skipped.',
  },
  {
    T1: async () => (await import('./tunnel-bars.ts')).httpRequests,
    T2: async () => (await import('./tunnel-bars.ts')).bigDownload,
    T3: async () => (await import('./tunnel-bars.ts')).redis,
    T4: async () => (await import('./tunnel-bars.ts')).postgres,
    T5: async () => (await import('./tunnel-bars.ts')).rsyncOverSsh,
    P16: async () => (await import('./bulk-bar.ts')).tunnelBulk,
  },
)
