/**
 * Owns: what the set-up of sessions needs of the links to one peer, and what it returns to the caller of makeSessions.
 * Independent of: how links count, store and write frames, and what a lane does once its call is done.
 */
import type { SetupFrame } from '../../../codec/setup-frames.ts'
import type { StatewireError } from '../../../codec/errors.ts'
import type { SessionIds } from './session-ids.ts'

export type WantFrame = Extract<SetupFrame, { type: 'Want' }>
export type MakeFrame = Extract<SetupFrame, { type: 'Make' }>
export type MadeFrame = Extract<SetupFrame, { type: 'Made' }>
export type RefuseFrame = Extract<SetupFrame, { type: 'Refuse' }>
export type AgreeFrame = Extract<SetupFrame, { type: 'Agree' }>

/** A Want that was passed to the link and may still wait for room in the retransmit buffer. */
export interface SentWant {
  /**
   * Takes it back if it was not handed to a connection.
   * @returns whether it was taken back, so that the peer never gets it
   */
  withdraw(): boolean
}

export interface LanesToOpen {
  readonly link: number
  readonly firstId: number
  readonly count: number
  /** What this side grants on each lane. It is part of the Make or Made, so no Credit is sent for it. */
  readonly windowBytes: number
  /** What the peer granted on each lane; 0 if that is not known yet and {@link SetupPort.grantCredit} follows. */
  readonly creditBytes: number
  /**
   * To be called when one of the lanes ends, whatever the reason: a Reset of either side, bad content, a limit. It has
   * no effect once the call is done or the attempt is void, so it may also be called from within `resetLanes`.
   */
  readonly onEnded: () => void
}

/**
 * The links to one peer. What writes a frame may fail and end the epoch of a link, which calls `linkReset` before it
 * returns; `resetLanes` may call `onEnded`. Nothing else here may call SessionSetup back.
 */
export interface SetupPort<Lane> {
  /** The id of this side is the greater one (G): it assigns the session ids. */
  readonly isGreater: boolean
  /** The number of links in use; null until the first hello on link 0 was adopted. */
  readonly links: number | null
  /** The link has adopted a hello in its present epoch. The socket may be down; what is sent then waits for it. */
  isUp(link: number): boolean
  /** The session ids of the link in its present epoch. */
  ids(link: number): SessionIds
  /** Sends a frame that is always admitted, before frames of session lanes that are written later. */
  send(link: number, frame: Exclude<SetupFrame, WantFrame>): void
  /**
   * Sends a Want on link 0, as soon as there is room. Frames of {@link send} may leave before it. A Want of a call
   * whose attempts are void again and again may be paused: parties that do not name the same peers never agree.
   * @param tries how often the call has asked this peer, this time included
   */
  sendWant(frame: WantFrame, tries: number): SentWant
  /**
   * Reserves the windows of so many lanes in the memory budget. Short of memory, they share equally what is left.
   * Throws StatewireError ERR_SESSION_LIMIT or ERR_MEMORY_BUDGET.
   * @returns the window of each lane, above 0
   */
  reserveWindows(lanes: number): number
  /** Returns what was reserved for lanes that are not opened. */
  releaseWindows(lanes: number, windowBytes: number): void
  /** Opens lanes whose windows are reserved. @returns one lane for each id, ascending */
  openLanes(lanes: LanesToOpen): readonly Lane[]
  /** The peer has granted its first window on each of these lanes. */
  grantCredit(lanes: readonly Lane[], creditBytes: number): void
  /** Ends those of the lanes that are still open, with a Reset (0, closed by the application) for each. */
  resetLanes(link: number, lanes: readonly Lane[]): void
}

export interface SetupResult<Lane> {
  /** The exclusive or of the call ids of all parties: the same number for all parties of these sessions. */
  readonly set: bigint
  /** By session, then by peer. */
  readonly sessions: readonly ReadonlyMap<string, Lane>[]
}

export interface SetupCall<Lane> {
  readonly name: string
  readonly count: number
  readonly peers: readonly string[]
  readonly onDone: (result: SetupResult<Lane>) => void
  readonly onFailed: (error: StatewireError) => void
}

/** How far a call is with one of its peers, for messages. */
export type SetupProgress =
  | 'waiting for an earlier call'
  | 'waiting for the peer'
  /** It was paired, and waits for the peer again. */
  | 'waiting again'
  | 'being set up'
  | 'paired'

export interface SetupHandle {
  /** Ends the call (time-out, abort) without a callback: its attempts are void. No effect on a call that has ended. */
  abort(): void
  /** By peer. */
  progress(): ReadonlyMap<string, SetupProgress>
}
