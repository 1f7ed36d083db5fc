/**
 * Owns: the native links to one peer as the set-up of sessions uses them: its frames, the lanes that it opens, and the
 * memory of their first windows.
 * Independent of: which calls find each other (../setup/session-setup.ts), and how links come up.
 */
import { StatewireError } from '../../../codec/errors.ts'
import { encodeSetupFrame, type SetupFrame } from '../../../codec/setup-frames.ts'
import type { LinkSetup } from '../lanes/native-link-options.ts'
import type { NativeLane } from '../lanes/native-lane.ts'
import type { SessionIds } from '../setup/session-ids.ts'
import type { SessionSetup } from '../setup/session-setup.ts'
import type { LanesToOpen, SentWant, SetupPort, WantFrame } from '../setup/setup-port.ts'
import type { NativeLink } from './native-link.ts'

/** A lane of a session, and the link that carries it. */
export interface LinkLane {
  readonly state: NativeLink
  readonly lane: NativeLane
}

/** A call may ask a peer so often without a pause. Parties that mean the same calls need fewer. */
const quickTries = 8
const pauseMsMax = 1_000

export interface SetupLinksOptions {
  readonly peer: string
  /** The public key of this side is the greater one. */
  readonly isGreater: boolean
  readonly laneWindowBytes: number
  /** All links to the peer, by index. */
  readonly links: () => readonly NativeLink[]
  /** How many of them are in use. */
  readonly linksInUse: () => number
  readonly schedule: (afterMs: number, callback: () => void) => { cancel(): void }
}

export class SetupLinks implements SetupPort<LinkLane> {
  readonly isGreater: boolean
  readonly #setup: SessionSetup<LinkLane>
  readonly #options: SetupLinksOptions
  #lastLinks: number | null = null

  constructor(setup: SessionSetup<LinkLane>, options: SetupLinksOptions) {
    this.#setup = setup
    this.#options = options
    this.isGreater = options.isGreater
  }

  /** What one of the links reports to. */
  reportsOf(link: number): LinkSetup {
    const { peer } = this.#options
    return {
      onFrame: (frame) => this.#setup.onFrame(peer, link, frame),
      onUp: () => {
        const { links } = this
        const hasChanged = this.#lastLinks !== null && links !== this.#lastLinks
        this.#lastLinks = links
        if (hasChanged) this.#setup.linksChanged(peer)
        this.#setup.linkUp(peer, link)
      },
      onReset: () => this.#setup.linkReset(peer, link),
    }
  }

  /** A peer announces its number of links in its hello on link 0. */
  get links(): number | null {
    const { links, linksInUse } = this.#options
    return (links()[0]?.peerLinks ?? null) === null ? null : linksInUse()
  }

  isUp(link: number): boolean {
    return this.#options.links()[link]?.isMade ?? false
  }

  ids(link: number): SessionIds {
    return this.#link(link).sessionIds
  }

  send(link: number, frame: Exclude<SetupFrame, WantFrame>): void {
    this.#link(link).writeSetup(encodeSetupFrame(frame))
  }

  sendWant(frame: WantFrame, tries: number): SentWant {
    const write = (): (() => boolean) => this.#link(0).writeWant(encodeSetupFrame(frame))
    if (tries <= quickTries) return { withdraw: write() }
    let withdraw: (() => boolean) | null = null
    const pauseMs = Math.min(pauseMsMax, 2 ** (tries - quickTries))
    const deadline = this.#options.schedule(pauseMs, () => (withdraw = write()))
    return { withdraw: () => withdraw?.() ?? (deadline.cancel(), true) }
  }

  reserveWindows(lanes: number): number {
    const windowBytes = this.#link(0).memory.openWindow(this.#options.laneWindowBytes, lanes)
    if (windowBytes > 0) return windowBytes
    throw new StatewireError(
      'ERR_MEMORY_BUDGET',
      `the memory budget of this side has no room for ${lanes} more sessions with ${this.#options.peer}: raise ` +
        'memoryBudgetBytes, or close sessions',
    )
  }

  releaseWindows(lanes: number, windowBytes: number): void {
    this.#link(0).memory.closeWindow(lanes * windowBytes)
  }

  openLanes({ link, firstId, count, windowBytes, creditBytes, onEnded }: LanesToOpen): readonly LinkLane[] {
    const state = this.#link(link)
    this.#link(0).memory.passWindows(count * windowBytes, state.memory)
    return Array.from({ length: count }, (_, index) => {
      const lane = state.openSession({ id: firstId + index, windowBytes, creditBytes })
      lane.onEnded = onEnded
      return { state, lane }
    })
  }

  grantCredit(lanes: readonly LinkLane[], creditBytes: number): void {
    for (const { state, lane } of lanes) state.granted(lane, creditBytes)
  }

  /** Lanes of a link whose epoch has ended are ended by the link, without a frame. */
  resetLanes(link: number, lanes: readonly LinkLane[]): void {
    if (!this.isUp(link)) return
    for (const { state, lane } of lanes) {
      lane.onEnded = null
      state.closeLane(lane, new StatewireError('ERR_SESSION_CLOSED', `session ${lane.name} was not needed`), true)
    }
  }

  #link(index: number): NativeLink {
    const link = this.#options.links()[index]
    if (link === undefined)
      throw new StatewireError('ERR_INTERNAL', `There is no link ${index} with ${this.#options.peer}.`)
    return link
  }
}
