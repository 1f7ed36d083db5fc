/**
 * Owns: the reader of native frames with the decoders of every body: what is read without an error is written again as
 * the same bytes, so that no two byte strings have one meaning, apart from the fields that are read leniently.
 * Independent of: links, lanes and the order of frames.
 */
import * as messages from '../../../codec/message-frames.ts'
import { NativeFrameReader } from '../../../codec/native-frame-reader.ts'
import * as frames from '../../../codec/native-frames.ts'
import { decodeSetupFrame, encodeSetupFrame } from '../../../codec/setup-frames.ts'
import * as bodies from '../../../protocol/native/frame-bodies.ts'
import { nativeSeeds } from './corpus.ts'
import { Seeds, slicesOf } from './mutate.ts'
import { codeOfBreach, holds } from './target.ts'
import type { Target } from './target.ts'

const d = frames.nativeDescriptors
const maxMessageLengthBytes = 100_000

/** @returns the frame as this side would write it; null where a field is read leniently or is not decoded here */
function writtenAgain(lane: number, descriptor: number, buffer: Buffer, start: number, end: number): Buffer | null {
  switch (descriptor) {
    case d.Piece: {
      const part = bodies.decodePiece(buffer, start, end)
      return Buffer.concat([frames.encodePieceHeader(lane, part.length), part])
    }
    case d.Credit:
      return frames.encodeCredit(lane, bodies.decodeCredit(buffer, start))
    case d.Open:
      bodies.decodeOpen(buffer, start, end)
      return null
    case d.Accept:
      return frames.encodeAccept(lane, bodies.decodeAccept(buffer, start))
    case d.Reset:
      bodies.decodeReset(buffer, start, end)
      return null
    case d.Message:
      return messageAgain(messages.decodeMessage(buffer, start, end))
    case d.Request:
      return requestAgain(messages.decodeRequest(buffer, start, end))
    case d.Response:
      return responseAgain(messages.decodeResponse(buffer, start, end))
    case d.Cancel:
      return messages.encodeCancel(messages.decodeCancel(buffer, start))
    case d.Want:
    case d.Make:
    case d.Made:
    case d.Agree:
      return encodeSetupFrame(decodeSetupFrame(descriptor, buffer, start, end))
    case d.Refuse:
      encodeSetupFrame(decodeSetupFrame(descriptor, buffer, start, end))
      return null
    default:
      return null
  }
}

function messageAgain({ name, headers, bytes }: messages.MessageBody): Buffer | null {
  const text = messages.textOf(name)
  return text === null ? null : messages.encodeMessage({ name: text, headers, bytes })
}

function requestAgain({ nonce, timeLeftMs, name, headers, bytes }: messages.RequestBody): Buffer | null {
  const text = messages.textOf(name)
  if (text === null) return null
  const payloadLengthBytes = bytes.length
  return Buffer.concat([
    messages.encodeRequestHeader({ nonce, timeLeftMs, name: text, headers, payloadLengthBytes }),
    bytes,
  ])
}

/** The texts of an error are read leniently. */
function responseAgain(response: messages.ResponseBody): Buffer | null {
  const { nonce, bytes } = response
  if (response.status === 'ok') return Buffer.concat([messages.encodeResponseHeader(nonce, bytes.length), bytes])
  const { status, code, message } = response
  messages.encodeErrorResponseHeader({ nonce, status, code, message, payloadLengthBytes: bytes.length })
  return null
}

export function nativeFrameTarget(): Target {
  return {
    name: 'reader: native frames',
    seeds: new Seeds(nativeSeeds()),
    weight: 60,
    framesMax: 20,
    run: (input, dice, trace) => {
      const reader = new NativeFrameReader(
        { maxMessageLengthBytes, linkIndex: dice.once(4) ? 1 : 0 },
        {
          onFrame: (lane, descriptor, buffer, start, end) => {
            trace.accepted(descriptor)
            const again = writtenAgain(lane, descriptor, buffer, start, end)
            const isSame = again === null || buffer.compare(again, 0, again.length, start - 5, end) === 0
            holds(isSame, `a frame with the descriptor ${descriptor} is written as ${again?.toString('hex') ?? ''}`)
            return true
          },
        },
      )
      let at = 0
      try {
        for (const end of slicesOf(dice, input.length)) {
          reader.push(input.subarray(at, end))
          reader.invariants()
          at = end
        }
        trace.ended(reader.bufferedBytes > 0 ? 'within a frame' : 'all read')
      } catch (error) {
        trace.frames++
        trace.ended(codeOfBreach(error))
      }
    },
  }
}
