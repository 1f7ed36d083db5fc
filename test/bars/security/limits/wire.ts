/**
 * Owns: S9, limits of the codec and of the protocol's own memory, each on the class that enforces it.
 * Independent of: sockets, actors and time.
 */
import { ControlFrameReader, encodeControlFrame, encodeFrame, FrameReader } from '../../../../codec/index.ts'
import type { NetworkValue } from '../../../../codec/index.ts'
import { clientHelloLengthBytesMax, readClientHello } from '../../../../codec/client-hello.ts'
import { FrameWriter } from '../../../../codec/frame-writer.ts'
import { decodeValue } from '../../../../codec/decode-value.ts'
import { windowBytesMax } from '../../../../codec/hello.ts'
import { sanitize, sentenceLengthMax } from '../../../../codec/sanitize.ts'
import * as limits from '../../../../codec/limits.ts'
import { heldPerLongFrameByteMax, SpareMemory } from '../../../../codec/spare-memory.ts'
import { NativeFrameReader } from '../../../../codec/native-frame-reader.ts'
import * as frames from '../../../../codec/native-frames.ts'
import { AmpcAcceptorHandshake, checkIdentity, Lane } from '../../../../protocol/index.ts'
import { waitersMax } from '../../../../protocol/lane.ts'
import {
  firstWindowBytes,
  grownWindowBytesMax,
  ReceiveWindow,
  SendCredit,
} from '../../../../protocol/native/lanes/credit.ts'
import {
  defaultMemoryBudgetBytes,
  leastWindowBytes,
  MemoryBudget,
} from '../../../../protocol/native/memory/memory-budget.ts'
import { NodeMemory } from '../../../../protocol/native/memory/node-memory.ts'
import {
  defaultRetransmitBufferBytes,
  retransmitFrameOverheadBytes,
  RetransmitBuffer,
  heldFramesMax,
  retransmitFramesMax,
} from '../../../../protocol/native/epoch/retransmit-buffer.ts'
import { around } from './case.ts'
import type { LimitCase } from './case.ts'

const fine = 'in order'
const tooLong = 'ERR_MESSAGE_TOO_LONG'
const inPieces = 'ERR_LONG_FRAME_WHOLE'
const bytes = (length: number, fill = 0): NetworkValue => ({ type: 'Bytes', value: Buffer.alloc(length, fill) })
const sink = { onFrame: () => true }

const u16 = (value: number): Buffer => Buffer.of(value & 255, value >>> 8)
const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer)

/** A length is refused from its header, before the body. */
function declares(reader: { push(chunk: Buffer): void }, ...parts: Buffer[]): void {
  reader.push(Buffer.concat(parts))
}

const native = (max = 1 << 20): NativeFrameReader =>
  new NativeFrameReader({ maxMessageLengthBytes: max, linkIndex: 0 }, sink)
const head = (lane: number, descriptor: number): Buffer => Buffer.concat([u32(lane), Buffer.of(descriptor)])
const { Open, Reset, Goodbye } = frames.nativeDescriptors

function frameCases(): LimitCase[] {
  const most = limits.defaultMaxMessageLengthBytes
  const extra = frames.openExtraLengthBytesMax
  const name = frames.protocolNameLengthBytesMax
  const reason = frames.reasonLengthBytesMax
  const open = (protocol: string, extraLength: number): Buffer =>
    frames.encodeOpen(frames.firstStreamLane, { windowBytes: 9, protocol, extra: Buffer.alloc(extraLength) })
  return [
    ...around('defaultMaxMessageLengthBytes', 'kept, ampc', most, [fine, fine, tooLong], (length) =>
      declares(new FrameReader({ maxMessageLengthBytes: most }, sink), head(1, 0x0c), u32(length)),
    ),
    ...around('defaultMaxMessageLengthBytes', 'kept, native, whole', most, [inPieces, inPieces, tooLong], (length) =>
      declares(native(most), head(1, 0x0c), u32(length)),
    ),
    ...around(
      'maxControlValueLengthBytes',
      'kept, receiving',
      limits.maxControlValueLengthBytes,
      [fine, fine, 'ERR_CONTROL_FRAME_LENGTH'],
      (length) => declares(new ControlFrameReader(sink), u32(length), Buffer.of(0x0c), u32(length - 5)),
    ),
    ...around(
      'maxControlValueLengthBytes',
      'kept, sending',
      limits.maxControlValueLengthBytes,
      [fine, fine, 'ERR_INVALID_VALUE'],
      (length) => void encodeControlFrame(bytes(length - 5)),
    ),
    ...around('protocolNameLengthBytesMax', 'kept, receiving', name, [fine, fine, tooLong], (length) =>
      declares(native(), head(frames.firstStreamLane, Open), u32(1), u16(length), Buffer.alloc(10, 97)),
    ),
    ...around(
      'protocolNameLengthBytesMax',
      'kept, sending',
      name,
      [fine, fine, 'ERR_INVALID_VALUE'],
      (length) => void open('a'.repeat(length), 0),
    ),
    ...around('openExtraLengthBytesMax', 'kept, receiving', extra, [fine, fine, tooLong], (length) =>
      declares(native(), head(frames.firstStreamLane, Open), u32(1), u16(1), Buffer.of(97), u32(length)),
    ),
    ...around(
      'openExtraLengthBytesMax',
      'kept, sending',
      extra,
      [fine, fine, 'ERR_INVALID_VALUE'],
      (length) => void open('a', length),
    ),
    ...around('reasonLengthBytesMax', 'kept, receiving a Reset', reason, [fine, fine, tooLong], (length) =>
      declares(native(), head(1, Reset), u16(0), u16(length)),
    ),
    ...around('reasonLengthBytesMax', 'kept, receiving a Goodbye', reason, [fine, fine, tooLong], (length) =>
      declares(native(), head(frames.controlLane, Goodbye), u16(0), Buffer.alloc(16), u16(length)),
    ),
    ...around(
      'reasonLengthBytesMax',
      'cut, sending',
      reason,
      ['255 bytes', '256 bytes', '256 bytes'],
      (length) => `${frames.encodeReset(1, { code: 0, reason: 'a'.repeat(length) }).length - 9} bytes`,
    ),
    ...around('streamFrameLengthBytesMax', 'kept', frames.streamFrameLengthBytesMax, [fine, fine, tooLong], (length) =>
      declares(native(), head(frames.firstStreamLane, 0x0c), u32(length)),
    ),
  ]
}

/** A ClientHello whose single record declares a body of this many bytes. */
function clientHelloOf(lengthBytes: number): string {
  const message = Buffer.from([1, lengthBytes >>> 16, (lengthBytes >>> 8) & 255, lengthBytes & 255])
  const verdict = readClientHello(Buffer.concat([Buffer.of(22, 3, 1, 0x10, 0), message, Buffer.alloc(8)]))
  return typeof verdict === 'string' ? verdict : 'a hello'
}

function identityOf(lengthBytes: number): string {
  const length = Buffer.alloc(8)
  length.writeUInt32BE(lengthBytes, 4)
  const { claim } = new AmpcAcceptorHandshake().feed(Buffer.concat([length, Buffer.alloc(lengthBytes, 97)]))
  return claim === undefined ? 'no claim' : fine
}

function fillsWindow(frameBytes: number, windowBytes: number): string {
  const window = new RetransmitBuffer(windowBytes)
  window.push([Buffer.alloc(frameBytes)], [frameBytes])
  return window.admits() ? fine : 'senders wait'
}

function grownTo(): string {
  const window = new ReceiveWindow({ windowBytes: firstWindowBytes, mayGrow: () => true })
  for (let i = 0; i < 40; i++) {
    const half = Math.ceil(window.windowBytes / 2)
    window.arrive(half)
    window.take(half, i, 1000)
  }
  return `${window.windowBytes} bytes`
}

async function waiters(count: number): Promise<string> {
  const lane = new Lane(1, { onTaken() {}, onUnread() {} })
  let refusal = fine
  for (let i = 0; i < count; i++)
    lane.wait({ resolve() {}, reject: (error) => (refusal = (error as Error & { code: string }).code) })
  return Promise.resolve(refusal)
}

/** Whether the arena that a frame of this length begins is a longer one. What lies in it is a copy. */
function arenaOf(frameLength: number): string {
  const writer = new FrameWriter()
  const value = { type: 'Bytes', value: new Uint8Array(frameLength - 9) } as const
  writer.writeFrame(1, value)
  value.value.fill(7)
  const [part] = writer.take() as [Buffer]
  if (part.includes(7)) throw new Error('it was not copied')
  return part.buffer.byteLength > limits.maxArenaLengthBytes ? 'a longer arena' : 'an arena'
}

/** In two pieces, through a reader: what comes out is what went in. */
function crosses(length: number): void {
  const frame = encodeFrame(1, bytes(length, 5))
  let seen: NetworkValue | null = null
  const reader = new FrameReader(
    { maxMessageLengthBytes: 1 << 20 },
    {
      onFrame: (_lane, descriptor, buffer, start, end) => (
        (seen = decodeValue(Buffer.concat([Buffer.of(descriptor), buffer.subarray(start, end)]))),
        true
      ),
    },
  )
  reader.push(frame.subarray(0, 100))
  reader.push(frame.subarray(100))
  const value = (seen as unknown as { value: Uint8Array } | null)?.value
  if (value?.length !== length || !value.every((byte) => byte === 5)) throw new Error('it came out otherwise')
}

function memoryCases(): LimitCase[] {
  const frameCount = retransmitFramesMax
  const budget = defaultMemoryBudgetBytes
  return [
    ...around(
      'maxIdentityLengthBytes',
      'kept, in the handshake',
      limits.maxIdentityLengthBytes,
      [fine, fine, 'ERR_HANDSHAKE_FAILED'],
      identityOf,
    ),
    ...around(
      'maxIdentityLengthBytes',
      'kept, as an option',
      limits.maxIdentityLengthBytes,
      [fine, fine, 'ERR_INVALID_PEER_ID'],
      (length) => void checkIdentity('a'.repeat(length), 'identity'),
    ),
    ...around(
      'clientHelloLengthBytesMax',
      'kept',
      clientHelloLengthBytesMax,
      ['need more', 'need more', 'not-tls'],
      clientHelloOf,
    ),
    ...around(
      'windowBytesMax',
      'kept',
      windowBytesMax,
      [fine, fine, 'ERR_CREDIT_OVERFLOW'],
      (window) => void new SendCredit(window),
    ),
    ...around(
      'windowBytesMax',
      'kept, by a later Credit',
      windowBytesMax,
      [fine, fine, 'ERR_CREDIT_OVERFLOW'],
      (window) => void new SendCredit(window - 9).grant(9),
    ),
    ...around('waitersMax', 'kept', waitersMax, [fine, fine, 'ERR_RECEIVE_QUEUE_FULL'], waiters),
    ...around('retransmitFramesMax', 'kept', frameCount, [fine, 'senders wait', 'senders wait'], (pending) =>
      new RetransmitBuffer(1 << 30).admits(pending) ? fine : 'senders wait',
    ),
    ...around(
      'heldFramesMax',
      'to what goes on without asking',
      heldFramesMax,
      [fine, fine, 'ERR_REPLAY_WINDOW_OVERRUN'],
      (count) => new RetransmitBuffer(1 << 30).push([Buffer.alloc(count)], new Uint32Array(count).fill(1)),
    ),
    ...around(
      'defaultRetransmitBufferBytes',
      'kept',
      defaultRetransmitBufferBytes - retransmitFrameOverheadBytes,
      [fine, 'senders wait', 'senders wait'],
      (length) => fillsWindow(length, defaultRetransmitBufferBytes),
    ),
    ...around(
      'retransmitFrameOverheadBytes',
      'kept',
      retransmitFrameOverheadBytes + 8,
      ['senders wait', 'senders wait', fine],
      (window) => fillsWindow(8, window),
    ),
    ...around('firstWindowBytes', 'kept', firstWindowBytes, [fine, fine, 'ERR_CREDIT_EXCEEDED'], (length) => {
      const window = new ReceiveWindow({ windowBytes: firstWindowBytes, mayGrow: () => false })
      window.arrive(length - 1)
      // One frame may go below zero; the next must not.
      window.arrive(1)
      if (length > firstWindowBytes) window.arrive(1)
    }),
    {
      limit: 'grownWindowBytesMax',
      at: 'kept, however fast its reader is',
      expected: `${grownWindowBytesMax} bytes`,
      run: grownTo,
    },
    ...around('defaultMemoryBudgetBytes', 'kept', budget, [fine, fine, 'no room'], (size) =>
      new MemoryBudget().tryReserve('replay', size) ? fine : 'no room',
    ),
    ...around(
      'leastWindowBytes',
      'kept',
      leastWindowBytes,
      ['0 bytes', '4096 bytes', '4097 bytes'],
      (left) => `${new NodeMemory(2 * left).takeWindows(65_536, 1)} bytes`,
    ),
    ...around(
      'largeFrameThresholdBytes',
      'kept',
      limits.largeFrameThresholdBytes,
      ['an arena', 'a longer arena', 'a longer arena'],
      arenaOf,
    ),
    ...around(
      'arenaGranularityBytes',
      'a threshold: the value is the same',
      limits.arenaGranularityBytes,
      [fine, fine, fine],
      (length) => crosses(length - 9),
    ),
    ...around(
      'largeArenaLengthBytes',
      'a threshold: the value is the same',
      limits.largeArenaLengthBytes,
      [fine, fine, fine],
      (length) => crosses(length - 9),
    ),
    ...around(
      'sentenceLengthMax',
      'cut',
      sentenceLengthMax,
      ['999 characters', '1000 characters', '1000 characters'],
      (length) => `${sanitize('a'.repeat(length)).length} characters`,
    ),
    ...around(
      'exactAssemblyLimitBytes',
      'a threshold: the value is the same',
      limits.exactAssemblyLimitBytes,
      [fine, fine, fine],
      crosses,
    ),
    ...around(
      'spareMemoryLengthBytesMax',
      'kept',
      limits.spareMemoryLengthBytesMax,
      ['used again', 'used again', 'let go'],
      isUsedAgain(limits.spareMemoryLengthBytesMax),
    ),
    ...around(
      'heldPerLongFrameByteMax',
      'a block of 100,000 bytes for a long frame',
      heldPerLongFrameByteMax * 100_000,
      ['used again', 'used again', 'let go'],
      (lengthBytes) => {
        const spares = new SpareMemory(2 * lengthBytes)
        spares.give(Buffer.allocUnsafe(lengthBytes))
        return spares.take(100_000, heldPerLongFrameByteMax) === undefined ? 'let go' : 'used again'
      },
    ),
    ...around(
      'spareArenasLengthBytesMax',
      'kept',
      limits.spareArenasLengthBytesMax,
      ['used again', 'used again', 'let go'],
      isUsedAgain(limits.spareArenasLengthBytesMax),
    ),
    ...around(
      'retiredArenasMax',
      'the oldest are let go',
      limits.retiredArenasMax,
      ['31 used again', '32 used again', '32 used again'],
      retires,
    ),
    ...around(
      'firstArenaLengthBytes',
      'a threshold: the value is the same',
      limits.firstArenaLengthBytes,
      [fine, fine, fine],
      (length) => crosses(length - 9),
    ),
    ...around(
      'maxArenaLengthBytes',
      'a threshold: the value is the same',
      limits.maxArenaLengthBytes,
      [fine, fine, fine],
      (length) => crosses(length - 9),
    ),
  ]
}

const isUsedAgain =
  (heldBytesMax: number) =>
  (lengthBytes: number): string => {
    const spares = new SpareMemory(heldBytesMax)
    spares.give(Buffer.allocUnsafe(lengthBytes))
    return spares.take(lengthBytes) === undefined ? 'let go' : 'used again'
  }

/** How many arenas are returned that were full and unacknowledged, once everything is acknowledged. */
function retires(arenas: number): string {
  const spares = new SpareMemory(1 << 30)
  const writer = new FrameWriter(spares)
  let memory: ArrayBufferLike | undefined
  const fillUntil = (isEnough: (retired: number) => boolean): void => {
    for (let retired = 0; !isEnough(retired);) {
      writer.writeRaw(Buffer.alloc(8192))
      const now = writer.take()[0]!.buffer
      if (now !== memory) retired++
      memory = now
    }
    writer.receivedFrom(memory as ArrayBufferLike)
  }
  // Arenas start small, and small ones are not reused.
  fillUntil(() => memory?.byteLength === limits.maxArenaLengthBytes)
  const before = spares.heldBytes
  fillUntil((retired) => retired === arenas)
  return `${String((spares.heldBytes - before) / limits.maxArenaLengthBytes)} used again`
}

export function wireCases(): LimitCase[] {
  return [...frameCases(), ...memoryCases()]
}
