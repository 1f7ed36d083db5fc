/**
 * Owns: the set-up of sessions on the one link of a rig: the real coordinator, and every lane that it opens.
 * Independent of: bytes, and what is checked (native-rig.ts).
 */
import type { LinkSetup } from '../../../protocol/native/lanes/native-link-options.ts'
import type { NativeLane } from '../../../protocol/native/lanes/native-lane.ts'
import type { NativeLink } from '../../../protocol/native/link/native-link.ts'
import { SetupLinks, type LinkLane } from '../../../protocol/native/link/setup-links.ts'
import { SessionSetup } from '../../../protocol/native/setup/session-setup.ts'
import type { LanesToOpen } from '../../../protocol/native/setup/setup-port.ts'
import { limits } from './corpus.ts'

class RecordedLinks extends SetupLinks {
  readonly #onLane: (lane: NativeLane) => void

  constructor(
    setup: SessionSetup<LinkLane>,
    isGreater: boolean,
    link: () => NativeLink,
    onLane: (lane: NativeLane) => void,
  ) {
    super(setup, {
      peer: 'peer',
      isGreater,
      laneWindowBytes: limits.laneWindowBytes,
      links: () => [link()],
      linksInUse: () => 1,
      schedule: () => ({ cancel() {} }),
    })
    this.#onLane = onLane
  }

  override openLanes(lanes: LanesToOpen): readonly LinkLane[] {
    const opened = super.openLanes(lanes)
    for (const { lane } of opened) this.#onLane(lane)
    return opened
  }
}

export class RigSetup {
  readonly reports: LinkSetup
  readonly #setup: SessionSetup<LinkLane>

  /** @param isGreater this side has the greater id */
  constructor(isGreater: boolean, link: () => NativeLink, onLane: (lane: NativeLane) => void) {
    let drawn = 0n
    this.#setup = new SessionSetup({ randomBits: (bits) => BigInt.asUintN(bits, ++drawn) })
    const links = new RecordedLinks(this.#setup, isGreater, link, onLane)
    this.#setup.addPeer('peer', links)
    this.reports = links.reportsOf(0)
  }

  /** The application calls makeSessions, and forgets how it ends. */
  call(name: string, count: number): void {
    this.#setup.call({ name, count, peers: ['peer'], onDone() {}, onFailed() {} })
  }
}
