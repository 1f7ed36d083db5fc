/**
 * Owns: what the tests of the swarm share: a file in pieces, and the reports of a run.
 * Independent of: what is expected of them.
 */
import type { Offer, Piece } from '../../examples/swarm/messages.ts'
import type { PairReport, PeerReport } from '../../examples/swarm/reports.ts'
import type { SwarmResult } from '../../examples/swarm/swarm.ts'
import { digestOf } from '../../examples/swarm/transfer.ts'

export const pieceBytes = 512
const bytes = Buffer.from(Array.from({ length: 10 * pieceBytes + 7 }, (_, index) => (index * 31 + (index >> 8)) % 256))
export const file = { name: 'numbers', bytes, sha256: digestOf(bytes) }
export const lanes = 3

/** The offer of the file on a lane. */
export function offer(lane: number, wave: number, fields: Partial<Offer> = {}): Offer {
  return {
    type: 'offer',
    from: 1,
    lane,
    round: 1,
    wave,
    name: file.name,
    length: bytes.length,
    pieceBytes,
    sha256: file.sha256,
    ...fields,
  }
}

/** A piece of the file, on its own lane. */
export function piece(number: number, fields: Partial<Piece> = {}): Piece {
  return {
    type: 'piece',
    from: 1,
    lane: number % lanes,
    round: 1,
    number,
    bytes: bytes.subarray(number * pieceBytes, (number + 1) * pieceBytes),
    ...fields,
  }
}

/** What a peer reports of another peer after three rounds. */
export function pairReport(peer: number, fields: Partial<PairReport> = {}): PairReport {
  return {
    peer,
    connections: ['open', 'lost'],
    connectionsLost: 2,
    reconnects: 1,
    roundsBegun: 3,
    roundsDelivered: 3,
    roundsVerified: 3,
    roundsWrong: 0,
    lastDigest: Buffer.from(file.sha256).toString('hex'),
    piecesSentAgain: 0,
    piecesAskedAgain: 0,
    linkResets: 0,
    unknown: 0,
    ...fields,
  }
}

/** The report of a peer with one pair. */
export function peerReport(number: number, pair: PairReport): PeerReport {
  return {
    number,
    id: `${number}0j3k5m7`.padEnd(52, '0'),
    sessions: 4,
    pairs: [pair],
    valuesSent: 10,
    valuesReceived: 10,
    bytesSent: 1000,
    bytesReceived: 1000,
    kills: 1,
    piecesSent: 8,
    duplicates: 0,
    questionsRepeated: 0,
    lastError: null,
    problems: [],
  }
}

/** The result of a verified run of two peers, with changes to what peer 2 reports of peer 1. */
export function resultOf(fields: Partial<PairReport> = {}): SwarmResult {
  const nothing = { actors: 0, deadlines: 0, handles: 0 }
  return {
    reports: [peerReport(1, pairReport(2)), peerReport(2, pairReport(1, fields))],
    crashed: [],
    left: [
      { number: 1, ...nothing },
      { number: 2, ...nothing },
    ],
    deaths: [],
    isInterrupted: false,
    isComplete: true,
    transferMs: 1000,
  }
}
