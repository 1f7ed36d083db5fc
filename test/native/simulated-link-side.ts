/**
 * Owns: one side of a simulated link: its real LinkEpoch, its lanes with the values sent on them, and the ends of
 * in-memory connections; and what a run counts.
 * Independent of: how data travels and what breaks (simulated-link.ts).
 */
import type { Hello } from '../../codec/hello.ts'
import type { NativeFrameReader } from '../../codec/native-frame-reader.ts'
import { LinkEpoch } from '../../protocol/native/epoch/link-epoch.ts'
import { PeerProcesses } from '../../protocol/native/handshake/peer-processes.ts'

export const limits = {
  maxMessageLengthBytes: 65_536,
  laneWindowBytes: 65_536,
  resumeTimeoutMs: 1000,
  links: 1,
  replayWindowBytes: 4 * 1024 * 1024,
  streamsMax: 1024,
}
export const lanes = [1, 2]

export type Outcome = 'acked' | 'unknown' | 'notSent'

/** One value: the outcome its sender got, and how often it arrived. */
export interface Value {
  readonly id: number
  outcome: Outcome | null
  arrivals: number
}

/** A lane since it started, as its sender sees it. */
export interface SenderLane {
  values: Value[]
  handedOver: number
}

export type Item = Hello | 'refusal' | 'fin' | Buffer

export interface End {
  readonly side: Side
  readonly queue: Item[]
  isOpen: boolean
  finSent: boolean
  reader: NativeFrameReader
  mine: Hello | null
}
export interface Connection {
  readonly dialer: End
  readonly acceptor: End
}

export class Side {
  readonly key: Uint8Array
  link: LinkEpoch
  bootId = 1n
  connection: Connection | null = null
  dial: Connection | null = null
  lanes = new Map<number, SenderLane>(lanes.map((lane) => [lane, { values: [], handedOver: 0 }]))
  /** Not handed over yet, in the order of sending. */
  waiting: { lane: number; value: Value }[] = []
  peer!: Side
  readonly #draw: () => bigint

  constructor(byte: number, draw: () => bigint) {
    this.key = new Uint8Array(32).fill(byte)
    this.#draw = draw
    this.link = undefined as never
  }

  boot(): void {
    this.link = new LinkEpoch({
      linkIndex: 0,
      ownKey: this.key,
      peerKey: this.peer.key,
      limits,
      processes: new PeerProcesses(this.bootId),
      drawEpoch: this.#draw,
    })
  }
}

/** Counts of the cases that a run covered, so that a test can assert them. */
export interface Tally {
  resumes: number
  keeps: number
  freshes: number
  crashes: number
  acked: number
  unknown: number
  notSent: number
  arrived: number
  stale: number
  crossings: number
  goodbyes: number
}

export function noTally(): Tally {
  return {
    resumes: 0,
    keeps: 0,
    freshes: 0,
    crashes: 0,
    acked: 0,
    unknown: 0,
    notSent: 0,
    arrived: 0,
    stale: 0,
    crossings: 0,
    goodbyes: 0,
  }
}
