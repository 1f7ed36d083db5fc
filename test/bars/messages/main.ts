/**
 * `npm run bars:messages`. Owns the order of these checks. Independent of what a check does.
 */
import { runBars } from '../run.ts'

runBars(
  {
    command: 'npm run bars:messages',
    summary: 'Broadcasts in meshes of 50 peers and of 12 processes, and requests while sockets and processes die.',
  },
  {
    B1: async () => (await import('./broadcast-bars.ts')).broadcastInOneProcess,
    B2: async () => (await import('./broadcast-bars.ts')).broadcastInProcesses,
    B3: async () => (await import('./request-bars.ts')).requestsWhileSocketsDie,
    B4: async () => (await import('./request-bars.ts')).requestsWhileProcessesDie,
    P15: async () => (await import('./broadcast-bars.ts')).broadcastCost,
  },
)
