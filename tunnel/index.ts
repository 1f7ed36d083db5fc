/**
 * Owns: the public names of `statewire/tunnel`. Independent of: everything else.
 */
export { Tunnels } from './tunnels.ts'
export type {
  ExposedTunnel,
  ExposeOptions,
  OpenedTunnel,
  OpenOptions,
  PipeOptions,
  TunnelsOptions,
} from './tunnel-options.ts'
export type { TunnelConnection, TunnelDescription, TunnelEvent, TunnelSide } from './tunnel-connection.ts'
export type { TunnelEnd } from './join.ts'
