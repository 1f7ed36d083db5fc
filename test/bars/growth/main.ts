/**
 * `npm run bars:growth`. Owns the order of these checks. Independent of what a check does.
 */
import { runBars } from '../run.ts'

runBars(
  {
    command: 'npm run bars:growth',
    summary: 'Measures what a peer costs a process that has 10, 100 or 1,000 of them.',
  },
  { P12: async () => (await import('./growth-bar.ts')).growthBar },
)
