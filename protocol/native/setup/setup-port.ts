/**
 * Owns: what the set-up of sessions needs of the links to one peer, and what it returns to the caller of makeSessions.
 * Independent of: how links count, store and write frames, and what a lane does once its call is done.
 */
import type { SessionIds } from './session-ids.ts'

export interface WantFrame {
  readonly type: 'Want'
  readonly k: number
  readonly callId: bigint
  readonly count: number
  readonly name: string
}

export interface MakeFrame {
  readonly type: 'Make'
  readonly k: number
  readonly callId: bigint
  readonly firstId: number
  readonly windowBytes: number
}

export interface MadeFrame {
  readonly type: 'Made'
  readonly k: number
  readonly windowBytes: number
}

export interface RefuseFrame {
  readonly type: 'Refuse'
  readonly k: number
  readonly reason: 'withdrawn' | 'counts-differ' | 'limit'
  readonly ownCount: number
}

export interface AgreeFrame {
  readonly type: 'Agree'
  readonly k: number
  readonly set: bigint
}

export type SetupFrame = WantFrame | MakeFrame | MadeFrame | RefuseFrame | AgreeFrame

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
   * Called when one of the lanes ends for another reason than {@link SetupPort.resetLanes}: a Reset of the peer, bad
   * content, a limit. Calls that come late (the call is done, the attempt is void) have no effect.
   */
  readonly onEnded: () => void
}

/** The links to one peer. Nothing here may call {@link SessionSetup} back before it returns, `onEnded` aside. */
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
  /** Sends a Want on link 0, as soon as there is room. It leaves before any frame that is sent later on that lane. */
  sendWant(frame: WantFrame): SentWant
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
  readonly onFailed: (error: Error) => void
}

/** How far a call is with one of its peers, for messages. */
export type SetupProgress = 'waiting for an earlier call' | 'waiting for the peer' | 'being set up' | 'paired'

export interface SetupHandle {
  /** Fails the call (time-out, abort): its attempts are void. `onFailed` is not called. No effect on a call that ended. */
  abort(): void
  /** By peer. */
  progress(): ReadonlyMap<string, SetupProgress>
}
