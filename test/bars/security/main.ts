/**
 * `npm run bars:security`. Owns the order of these checks. Independent of what a check does.
 */
import { runBars } from '../run.ts'

runBars(
  { command: 'npm run bars:security', summary: 'Attacks this runtime on 127.0.0.0/8 and measures what comes of it.' },
  {
    S3: async () => (await import('./identity-bar.ts')).identityBar,
    S4: async () => (await import('./possession-bar.ts')).possessionBar,
    S7: async () => (await import('./codec-bombs.ts')).codecBombs,
    S9: async () => (await import('./limits-bar.ts')).limitsBar,
    S10: async () => (await import('./wrong-protocol-bar.ts')).wrongProtocolBar,
    S12: async () => (await import('./log-bar.ts')).logBar,
    S1: async () => (await import('./slowloris.ts')).slowloris,
    S2: async () => (await import('./accept-flood.ts')).acceptFlood,
    P9: async () => (await import('./connect-rate.ts')).connectRate,
  },
)
