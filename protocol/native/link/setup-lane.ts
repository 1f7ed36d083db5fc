/**
 * Owns: the set-up lane in the table of lane kinds: its frames are read and passed on.
 * Independent of: what the frames do (../setup/session-setup.ts).
 */
import { decodeSetupFrame } from '../../../codec/setup-frames.ts'
import { LaneKindWithoutState } from '../lanes/lane-kind.ts'
import type { FloodGuard } from '../lanes/flood-guard.ts'
import type { LinkSetup } from '../lanes/native-link-options.ts'

export class SetupLane extends LaneKindWithoutState {
  readonly #setup: LinkSetup | undefined
  readonly #guard: FloodGuard

  constructor(setup: LinkSetup | undefined, guard: FloodGuard) {
    super()
    this.#setup = setup
    this.#guard = guard
  }

  /** Throws ProtocolError like its parts. */
  onFrame(
    _laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    this.#guard.frame(nowMs)
    this.#setup?.onFrame(decodeSetupFrame(descriptor, buffer, bodyStart, bodyEnd))
    return false
  }
}
