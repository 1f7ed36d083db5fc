/**
 * Owns: what tests of messages and requests between two links share: Alice sends and asks, Bob takes and answers.
 * Independent of: what is tested.
 */
import { expect } from 'vitest'
import { encode } from '@msgpack/msgpack'
import { encodePieceHeader } from '../../codec/native-frames.ts'
import type { Answer, Exchange, HeldMessage, IncomingRequest, OutgoingMessage } from '../../protocol/exchange.ts'
import { LinkPair } from './link-pair.ts'
import type { PairOptions } from './link-pair.ts'

export const nothing = Buffer.alloc(0)
const piece = 65_536

export function message(bytes: string | Buffer, name = 'news', headers?: Record<string, string>): OutgoingMessage {
  return {
    name: Buffer.from(name),
    headers: headers === undefined ? nothing : Buffer.from(encode(headers)),
    bytes: Buffer.from(bytes as string),
  }
}

export class Served {
  readonly messages: { name: string; headers: object; text: string }[] = []
  readonly bad: string[] = []
  readonly requests: IncomingRequest[] = []
  readonly cancelled: IncomingRequest[] = []
  readonly held: HeldMessage[] = []
  holds = false
  /** Answers at once with the request's own bytes. */
  echoes = false

  constructor(exchange: Exchange) {
    exchange.setReceiver({
      onMessage: (name, headers, bytes) => {
        this.messages.push({ name, headers: Object.fromEntries(headers), text: bytes.toString('latin1') })
        if (this.holds) this.held.push(exchange.holdMessage())
        return true
      },
      onBadMessage: (why) => void this.bad.push(why),
      onRequest: (request) => {
        this.requests.push(request)
        request.onCancel = () => void this.cancelled.push(request)
        if (this.echoes) request.answer(request.bytes)
      },
    })
  }
}

export interface Scene {
  readonly pair: LinkPair
  readonly served: Served
  /** Alice asks Bob. */
  ask(bytes?: string | Buffer, timeLeftMs?: number | null): { readonly answers: Answer[]; cancel(): boolean }
}

export function open(options: PairOptions = {}, connects = true): Scene {
  const pair = new LinkPair(options)
  const served = new Served(pair.bob.exchange)
  if (connects) pair.connect()
  const ask = (bytes: string | Buffer = 'question', timeLeftMs: number | null = null): ReturnType<Scene['ask']> => {
    const answers: Answer[] = []
    const sent = pair.alice.exchange.request({
      message: message(bytes, 'ask'),
      timeLeftMs: () => timeLeftMs,
      onAnswer: (answer) => void answers.push(answer),
    })
    return { answers, cancel: () => sent.cancel() }
  }
  return { pair, served, ask }
}

/** What a request came to, in one word or two. */
export function ends(answers: readonly Answer[]): string {
  return answers.map((answer) => (answer.status === 'lost' ? answer.outcome : answer.status)).join(' ')
}

export function pieces(frame: Buffer): Buffer[] {
  const content = frame.subarray(4)
  return Array.from({ length: Math.ceil(content.length / piece) }, (_, index) => {
    const part = content.subarray(index * piece, (index + 1) * piece)
    return Buffer.concat([encodePieceHeader(frame.readUInt32LE(0), part.length), part])
  })
}

export const code = (value: string): Error => expect.objectContaining({ code: value }) as Error
