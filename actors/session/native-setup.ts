/**
 * Owns: the set-up of native sessions of one network: the links to each peer take part in it, for as long as it is a
 * peer.
 * Independent of: how calls find each other (protocol/native/setup/), and of the calls themselves.
 */
import { StatewireError } from '../../codec/errors.ts'
import { decodePeerId } from '../../protocol/key-id.ts'
import type { LinkSetup } from '../../protocol/native/lanes/native-link-options.ts'
import type { NativeLink } from '../../protocol/native/link/native-link.ts'
import { SetupLinks, type LinkLane } from '../../protocol/native/link/setup-links.ts'
import { SessionSetup } from '../../protocol/native/setup/session-setup.ts'
import type { Random } from '../base/environment.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { ResolvedOptions } from '../config/options.ts'
import type { PeerTable } from '../config/peer-table.ts'
import type { BaseLinks } from '../link/base-links.ts'

export class NativeSetup {
  readonly calls: SessionSetup<LinkLane>
  readonly #peers = new Map<string, SetupLinks>()

  constructor(random: Random) {
    this.calls = new SessionSetup({ randomBits: (bits) => randomBits(random, bits) })
  }

  /** What a link reports to. Reports of a peer that has been removed have no effect. */
  reportsOf(peer: string, linkIndex: number): LinkSetup {
    const reports = (): LinkSetup | undefined => this.#peers.get(peer)?.reportsOf(linkIndex)
    return {
      onFrame: (frame) => reports()?.onFrame(frame),
      onUp: () => reports()?.onUp(),
      onReset: () => reports()?.onReset(),
    }
  }

  /** Called once, with the links that report here. */
  follow(options: ResolvedOptions, peers: PeerTable, links: BaseLinks, wheel: TimerWheel): void {
    const add = (peer: string): void => {
      const ofPeer = new SetupLinks(this.calls, {
        peer,
        isGreater: Buffer.compare(decodePeerId(options.identity), decodePeerId(peer)) > 0,
        laneWindowBytes: options.limits.laneWindowBytes,
        links: () => links.of(peer).map(({ state }) => state as NativeLink),
        linksInUse: () => links.inUse(peer).length,
        schedule: (afterMs, callback) => wheel.schedule(afterMs, callback),
      })
      this.#peers.set(peer, ofPeer)
      this.calls.addPeer(peer, ofPeer)
    }
    for (const peer of peers.ids()) add(peer)
    peers.onChange({
      added: ({ id }) => add(id),
      removed: ({ id }) => {
        this.#peers.delete(id)
        this.calls.removePeer(
          id,
          new StatewireError('ERR_UNKNOWN_PEER', `${id} was removed from the peers of this network`),
        )
      },
    })
  }
}

function randomBits(random: Random, bits: number): bigint {
  const drawn = Buffer.from(random.bytes(8)).readBigUInt64LE(0)
  return BigInt.asUintN(bits, drawn)
}
