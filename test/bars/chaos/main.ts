/**
 * `npm run chaos`. Owns the order of these checks. Independent of what a check does.
 */
import { runBars } from '../run.ts'

runBars(
  {
    command: 'npm run chaos',
    summary: 'Kills, freezes, floods and starves real networks over real sockets and counts what is lost.',
  },
  {
    C1: async () => (await import('./chaos-kill.ts')).chaosKill,
    'C1-churn': async () => (await import('./session-churn.ts')).sessionChurn,
    C2: async () => (await import('./process-kill.ts')).processKill,
    C3: async () => (await import('./freeze.ts')).freeze,
    C4: async () => (await import('./half-open.ts')).halfOpen,
    C6: async () => (await import('./slicer.ts')).slicer,
    C7: async () => (await import('./bitflip.ts')).bitflip,
    C8: async () => (await import('./crossing-dials.ts')).crossingDials,
    E4: async () => (await import('./resume-latency.ts')).resumeLatency,
    C9: async () => (await import('./stalled-loop.ts')).stalledLoop,
    C12: async () => (await import('./graceful-stop.ts')).gracefulStop,
    C13: async () => (await import('./slow-reader.ts')).slowReader,
    C14: async () => (await import('./long-value.ts')).longValue,
    S8: async () => (await import('./flood-bar.ts')).floodBar,
    S11: async () => (await import('./resume-forgery.ts')).resumeForgery,
    E2: async () => (await import('./leak-cycle.ts')).leakCycle,
    E3: async () => (await import('./ack-overhead.ts')).ackOverhead,
  },
)
