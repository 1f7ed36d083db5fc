/**
 * Owns: the control lane in the table of lane kinds. Its frames are never counted and never sent again.
 * Independent of: what the frames say (link-upkeep.ts).
 */
import { LaneKindWithoutState } from '../lanes/lane-kind.ts'
import type { LinkUpkeep } from './link-upkeep.ts'

export class ControlLane extends LaneKindWithoutState {
  readonly #upkeep: LinkUpkeep

  constructor(upkeep: LinkUpkeep) {
    super()
    this.#upkeep = upkeep
  }

  onFrame(
    _laneId: number,
    descriptor: number,
    buffer: Buffer,
    bodyStart: number,
    bodyEnd: number,
    nowMs: number,
  ): boolean {
    this.#upkeep.onControl(descriptor, buffer, bodyStart, bodyEnd, nowMs)
    return false
  }
}
