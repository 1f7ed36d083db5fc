/**
 * Owns: the floods that a peer with a known key can send once its hello was accepted, as bytes.
 * Independent of: sockets, and which limits stop a flood.
 */
import { encodeFrame } from '../../../codec/index.ts'
import {
  encodeAck,
  encodeCredit,
  encodeOpen,
  encodePing,
  encodeReset,
  firstStreamLane,
} from '../../../codec/native-frames.ts'
import { encodeMessage, encodeMessageHeader, encodeRequestHeader } from '../../../codec/message-frames.ts'

export interface Flood {
  readonly name: string
  /** Sent once, when the hellos are exchanged and the victim's sessions exist. */
  readonly first?: () => Buffer
  /**
   * Sent over and over. `counted`: frames of the victim so far. `isGreater`: the flooder has the greater id, so it opens
   * streams of odd ids.
   */
  readonly again: (number: number, counted: number, isGreater: boolean) => Buffer
  readonly readsNothing?: true
  /** Pause between two of them. */
  readonly pauseMs?: number
  /** Each is sent in a record of its own. */
  readonly isSliced?: true
}

/** Sessions of the victim with its hostile peer: ids 0 … 3. The attack closes the last one itself. */
export const sessionsOfVictim = 4
const deadSession = 3
/** A peer that connects and stays silent: shows the noise of the machine. */
export const control = 'nothing'
const framesAtOnce = 2_000
const bit = (lane: number): Buffer => encodeFrame(lane, { type: 'RingElementBit', value: true })
const many = (frame: Buffer): Buffer => Buffer.concat(Array.from({ length: framesAtOnce }, () => frame))
const each = (frameOf: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: framesAtOnce }, (_, index) => frameOf(index)))
const reset = (lane: number): Buffer => encodeReset(lane, { code: 0, reason: '' })
const streamLane = (number: number, isGreater: boolean): number =>
  firstStreamLane + (isGreater ? 1 : 0) + 2 * (number % 1_000_000_000)
const open = (lane: number): Buffer => encodeOpen(lane, { windowBytes: 65_536, protocol: 'x', extra: Buffer.alloc(0) })

const pings = many(encodePing(1n))
const credits = many(encodeCredit(0, 1))
const deadCredits = many(encodeCredit(deadSession, 1))
const deadResets = many(reset(deadSession))
const deadBits = many(bit(deadSession))
const empty = many(encodeFrame(0, { type: 'Bytes', value: Buffer.alloc(0) }))
const message = encodeMessage({ name: '', bytes: Buffer.alloc(16_384) })
const emptyMessages = many(encodeMessageHeader({ name: '', payloadLengthBytes: 0 }))
const requests = each((index) =>
  encodeRequestHeader({ nonce: index + 1, timeLeftMs: null, name: '', payloadLengthBytes: 0 }),
)
const giveUp = (): Buffer => reset(deadSession)

/** The header of a value of this length, without its body. */
function headerOf(lane: number, lengthBytes: number): Buffer {
  const header = Buffer.from(encodeFrame(lane, { type: 'Bytes', value: Buffer.alloc(0) }))
  header.writeUInt32LE(lengthBytes, 5)
  return header
}

export function floods(maxMessageLengthBytes: number): readonly Flood[] {
  const piece = Buffer.alloc(Math.min(65_536, maxMessageLengthBytes >>> 4), 7)
  return [
    { name: control, again: () => Buffer.alloc(0), pauseMs: 50 },
    { name: 'pings', again: () => pings },
    { name: 'pings in records of their own', again: () => encodePing(1n), isSliced: true },
    { name: 'acks', again: (_, counted) => many(encodeAck(counted)) },
    { name: 'credits for a session', again: () => credits },
    { name: 'credits for a closed session', first: giveUp, again: () => deadCredits },
    { name: 'resets of a closed session', again: () => deadResets },
    {
      name: 'streams opened and reset',
      again: (number, _, isGreater) =>
        each((index) =>
          Buffer.concat([
            open(streamLane(number * framesAtOnce + index, isGreater)),
            reset(streamLane(number * framesAtOnce + index, isGreater)),
          ]),
        ),
    },
    {
      name: 'streams for us to reset',
      again: (number, _, isGreater) => each((index) => open(streamLane(number * framesAtOnce + index, isGreater))),
    },
    {
      name: 'sessions that were never made',
      again: (number) =>
        each((index) =>
          Buffer.concat([
            encodeCredit(1_000 + number * framesAtOnce + index, 1),
            reset(1_000 + number * framesAtOnce + index),
          ]),
        ),
    },
    { name: 'values without content', again: () => empty },
    { name: 'bits on a closed session', first: giveUp, again: () => deadBits },
    { name: 'empty messages', again: () => emptyMessages },
    { name: 'long messages', again: () => message },
    { name: 'requests', again: () => requests },
    {
      name: 'a value without credit that never ends',
      first: () => headerOf(1_000, maxMessageLengthBytes),
      again: (number) => (number < 15 ? piece : Buffer.alloc(1)),
      pauseMs: 20,
    },
    {
      name: 'a value that never ends',
      first: () => headerOf(0, maxMessageLengthBytes),
      again: (number) => (number < 15 ? piece : Buffer.alloc(1)),
      pauseMs: 20,
    },
    {
      name: 'a value in records of one byte',
      first: () => headerOf(0, maxMessageLengthBytes),
      again: () => Buffer.alloc(1),
      isSliced: true,
    },
    { name: 'pings, without reading', again: () => encodePing(1n), isSliced: true, readsNothing: true },
    {
      name: 'streams, without reading',
      again: (number, _, isGreater) => each((index) => open(streamLane(number * framesAtOnce + index, isGreater))),
      readsNothing: true,
    },
    { name: 'requests, without reading', again: () => requests, readsNothing: true },
    { name: 'bits, without reading', first: giveUp, again: () => bit(deadSession), isSliced: true, readsNothing: true },
  ]
}
