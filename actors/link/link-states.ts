/**
 * Owns: how the state of a link is created from the configuration, in either dialect; the boot id of a network.
 * Independent of: what the states do.
 */
import { StatewireError } from '../../codec/errors.ts'
import { maxArenaLengthBytes, spareArenasLengthBytesMax, spareMemoryLengthBytesMax } from '../../codec/limits.ts'
import { SpareMemory } from '../../codec/spare-memory.ts'
import type { Dialect } from '../../protocol/dialect.ts'
import { decodePeerId } from '../../protocol/key-id.ts'
import type { LinkCore } from '../../protocol/link-core.ts'
import { AmpcLink } from '../../protocol/ampc/ampc-link.ts'
import { defaultKeepAlive } from '../../protocol/native/epoch/keep-alive.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'
import type { LinkSetup } from '../../protocol/native/lanes/native-link-options.ts'
import { NativeLink } from '../../protocol/native/link/native-link.ts'
import type { NodeMemory } from '../../protocol/native/memory/node-memory.ts'
import type { Environment } from '../base/environment.ts'
import type { NetworkEvent } from '../base/events.ts'
import type { ResolvedOptions } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'

export interface LinkStatesOptions {
  readonly environment: Environment
  readonly options: ResolvedOptions
  readonly peers: PeerTable
  readonly dialect: Dialect
  /** Native only: the memory that the links share. */
  readonly memory: NodeMemory
  /** Native only: the set-up of sessions, as each link sees it. */
  readonly setupOf?: ((peer: string, linkIndex: number) => LinkSetup) | undefined
  readonly emit: (event: NetworkEvent) => void
}

/** See codec/limits.ts: one retransmit buffer's worth for few links, two write buffers per link for many. */
const spareArenasForFewLinks = 64
const spareArenasPerLink = 2

export function createLinkStates({
  environment,
  options,
  peers,
  dialect,
  memory,
  setupOf,
  emit,
}: LinkStatesOptions): (peer: string, linkIndex: number) => LinkCore {
  if (options.dialect === 'ampc') {
    return () => {
      const state = new AmpcLink(dialect.sessions(options.limits.maxMessageLengthBytes), options.limits)
      state.expectLanesFrom(0)
      return state
    }
  }
  const { clock, random } = environment
  const { limits, key } = options
  const spares = new SpareMemory(spareMemoryLengthBytesMax)
  const arenasLengthBytes = (): number => spareArenasLengthBytes(peers.size * options.connectionParallelism)
  const arenas = new SpareMemory(arenasLengthBytes())
  const resize = (): void => arenas.resize(arenasLengthBytes())
  peers.onChange({ added: resize, removed: resize })
  if (key === null) throw new StatewireError('ERR_INTERNAL', 'the native dialect has no key')
  // Microseconds since 1970 at the start of this network: greater than the boot id of any earlier process with the same
  // key.
  const bootId = BigInt(Math.max(1, Math.floor(clock.wallMs() * 1000)))
  // Kept when a peer is removed: its process may know this side's hellos when the peer is added again.
  const processes = new Map<string, PeerProcesses>()
  const processesOf = (peer: string): PeerProcesses => {
    const found = processes.get(peer) ?? new PeerProcesses(bootId)
    processes.set(peer, found)
    return found
  }
  return (peer, linkIndex) => {
    const ofLink = memory.open(peer)
    const epoch = new LinkEpoch({
      linkIndex,
      ownKey: key.publicKey,
      peerKey: decodePeerId(peer),
      processes: processesOf(peer),
      drawEpoch: () => drawEpoch(random.bytes(8)),
      keepsIdle: () => peers.get(peer)?.connect !== 'on-demand',
      limits: {
        maxMessageLengthBytes: limits.maxMessageLengthBytes,
        // The lanes of these windows are on link 0 only.
        laneWindowBytes: linkIndex === 0 ? ofLink.openHelloWindows(limits.laneWindowBytes) : limits.laneWindowBytes,
        resumeTimeoutMs: limits.resumeTimeoutMs,
        links: options.connectionParallelism,
        replayWindowBytes: limits.replayWindowBytes,
        streamsMax: limits.streamsMax,
      },
    })
    return new NativeLink({
      peer,
      linkIndex,
      epoch,
      laneWindowBytes: limits.laneWindowBytes,
      maxMessageLengthBytes: limits.maxMessageLengthBytes,
      messageBytesMax: limits.messageBytesMax,
      streamsMax: limits.streamsMax,
      streamOpensPerSecond: limits.streamOpensPerSecond,
      sendQueueBytesMax: limits.sendQueueBytesMax,
      sendQueueValuesMax: limits.sendQueueValuesMax,
      keepAlive: defaultKeepAlive,
      nowMs: () => clock.nowMs(),
      memory: ofLink,
      spares,
      arenas,
      ...(setupOf === undefined ? {} : { setup: setupOf(peer, linkIndex) }),
      witness: {
        onReset: (reason, outcomes, said) =>
          emit({ type: 'link.reset', peer, link: `link:${linkIndex}`, linkIndex, reason, outcomes, said }),
        onDuplicate: () => emit({ type: 'peer.duplicate', peer }),
        onClockBehind: () => emit({ type: 'clock.behind', peer }),
      },
    })
  }
}

/** The size of the write buffers that are kept for reuse, for a number of links. */
export function spareArenasLengthBytes(links: number): number {
  return Math.min(
    spareArenasLengthBytesMax,
    Math.max(spareArenasForFewLinks, spareArenasPerLink * links) * maxArenaLengthBytes,
  )
}

/** A random u64 other than 0. */
function drawEpoch(bytes: Uint8Array): bigint {
  return Buffer.from(bytes).readBigUInt64LE(0) | 1n
}
