/**
 * Owns: one side of the set-up of sessions as a hand-written peer plays it: the frames it sends, and which ids it gets.
 * Independent of: sockets, and the code under test.
 */
import { nativeDescriptors, setupLane } from '../../codec/native-frames.ts'
import { decodeSetupFrame, encodeSetupFrame } from '../../codec/setup-frames.ts'

const callId = 9n
const windowBytes = 65_536
const setupDescriptors: readonly number[] = [
  nativeDescriptors.Want,
  nativeDescriptors.Make,
  nativeDescriptors.Made,
  nativeDescriptors.Refuse,
  nativeDescriptors.Agree,
]

export class HandMadeSetup {
  readonly #count: number
  readonly #say: (frames: Buffer) => void
  #set: bigint | null = null
  /** The session ids begin here; null until both sides agree. */
  firstId: number | null = null
  #givenId = 0

  constructor(options: { count: number; say: (frames: Buffer) => void }) {
    this.#count = options.count
    this.#say = options.say
  }

  /** After the hellos. @param isGreater this side has the greater id: it waits for a Want, and gives the session ids */
  begin(isGreater: boolean): void {
    if (!isGreater) this.#say(encodeSetupFrame({ type: 'Want', k: 1, callId, count: this.#count, name: '' }))
  }

  /** Takes every counted frame of the other side. */
  onFrame(lane: number, descriptor: number, body: Buffer): void {
    if (lane !== setupLane || !setupDescriptors.includes(descriptor)) return
    const frame = decodeSetupFrame(descriptor, body, 0, body.length)
    if (frame.type === 'Want') {
      const { k } = frame
      this.#set = frame.callId ^ callId
      const make = encodeSetupFrame({ type: 'Make', k, callId, firstId: this.#givenId, windowBytes })
      this.#say(Buffer.concat([make, encodeSetupFrame({ type: 'Agree', k, set: this.#set })]))
    } else if (frame.type === 'Make') {
      const { k } = frame
      this.#set = frame.callId ^ callId
      this.#givenId = frame.firstId
      const made = encodeSetupFrame({ type: 'Made', k, windowBytes })
      this.#say(Buffer.concat([made, encodeSetupFrame({ type: 'Agree', k, set: this.#set })]))
    } else if (frame.type === 'Agree' && frame.set === this.#set) this.firstId = this.#givenId
  }
}
