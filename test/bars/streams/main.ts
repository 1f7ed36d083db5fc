/**
 * `npm run bars:streams`. Owns the order of these checks. Independent of what a check does.
 */
import { runBars } from '../run.ts'

runBars(
  {
    command: 'npm run bars:streams',
    summary:
      'Opening, bulk and memory of streams against the thinnest multiplexer over TLS; 1,000 streams that saturate each ' +
      'other, and a million that open and end.',
  },
  {
    P7: async () => (await import('./stream-bars.ts')).opening,
    P10: async () => (await import('./stream-bars.ts')).idleMemory,
    P13: async () => (await import('./stream-bars.ts')).bulk,
    MIX: async () => (await import('./stream-bars.ts')).mix,
    S1: async () => (await import('./stream-soak.ts')).saturation,
    S2: async () => (await import('./stream-soak.ts')).manyStreams,
  },
)
