/**
 * Owns: who takes the messages of each name: a handler, an iterator, or nobody.
 * Independent of: links and credit; a message that an iterator has not read is held.
 */
import { StatewireError } from '../../codec/errors.ts'
import { Deque } from '../../protocol/deque.ts'
import type { HeldMessage } from '../../protocol/exchange.ts'
import { grownWindowBytesMax } from '../../protocol/native/lanes/credit.ts'
import { onRejection } from '../base/rejections.ts'
import { checkName, headersOf } from './content.ts'
import type { Headers } from './content.ts'

/** Names without a handler that are reported, once each. */
export const unhandledNamesMax = 1024

/**
 * What the iterators of this side may hold unread of one peer, in bytes beyond two messages of the greatest length.
 * Credit keeps it below half of that as long as the link lives: a full window, and one long message. A peer whose link
 * begins again and again has credit again each time.
 */
export const unreadBytesMax = 2 * grownWindowBytesMax
/** A message with an empty name and body, on the wire. */
const leastMessageBytes = 12

/** A message that has arrived. Its bytes belong to the application. */
export class Message {
  readonly peer: string
  readonly name: string
  readonly bytes: Buffer
  readonly #headers: ReadonlyMap<string, string>

  constructor(peer: string, name: string, bytes: Buffer, headers: ReadonlyMap<string, string>) {
    this.peer = peer
    this.name = name
    this.bytes = bytes
    this.#headers = headers
  }

  get headers(): Headers {
    return headersOf(this.#headers)
  }
}

/** Called synchronously with every message of its name. */
export type MessageHandler = (message: Message) => void

/** Takes messages at the pace of its reader. */
export class MessageIterator implements AsyncIterableIterator<Message> {
  readonly #unread = new Deque<{ readonly message: Message; readonly held: HeldMessage }>()
  #waiting: ((result: IteratorResult<Message>) => void)[] = []
  #isOver = false
  onEnd: () => void = () => {}

  /** Hands it to a reader that waits, or holds it. */
  take(message: Message, hold: () => HeldMessage): void {
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting({ done: false, value: message })
    else this.#unread.push({ message, held: hold() })
  }

  /** What was not read is given back: its senders may go on. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.onEnd()
    for (const { held } of this.#unread.drain()) held.taken()
    for (const waiting of this.#waiting) waiting({ done: true, value: undefined })
    this.#waiting = []
  }

  next(): Promise<IteratorResult<Message>> {
    const unread = this.#unread.shift()
    if (unread !== undefined) {
      unread.held.taken()
      return Promise.resolve({ done: false, value: unread.message })
    }
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  return(): Promise<IteratorResult<Message>> {
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

interface Unread {
  bytes: number
  /** Messages of the peer are being dropped, and that was reported. */
  isOverrun: boolean
}

export interface MessageReports {
  /** The longest body. */
  readonly messageBytesMax: number
  /** Messages of the peer are dropped from now on, until its unread messages are read. */
  onOverrun(peer: string, name: string): void
  /** A handler threw, or its promise rejected. */
  onFailed(peer: string, name: string, error: unknown): void
  /** The first message of a name without a handler. */
  onUnhandled(peer: string, name: string, lengthBytes: number): void
}

export class MessageHandlers {
  readonly #reports: MessageReports
  readonly #byName = new Map<string, MessageHandler | MessageIterator>()
  readonly #unhandledNames = new Set<string>()
  /** What is held unread, by peer. */
  readonly #unread = new Map<string, Unread>()
  unhandled = 0

  constructor(reports: MessageReports) {
    this.#reports = reports
  }

  /** @throws StatewireError ERR_INVALID_OPTION, ERR_HANDLER_EXISTS. @returns a function that removes it */
  add(name: string, handler: MessageHandler | MessageIterator): () => void {
    checkName(name)
    if (this.#byName.has(name))
      throw new StatewireError(
        'ERR_HANDLER_EXISTS',
        `messages with the name ${JSON.stringify(name)} have a handler already; remove it first`,
      )
    this.#byName.set(name, handler)
    return () => {
      if (this.#byName.get(name) === handler) this.#byName.delete(name)
    }
  }

  /** @param hold within this call: the message is not taken yet. @returns whether the name is handled */
  take(
    peer: string,
    name: string,
    headers: ReadonlyMap<string, string>,
    bytes: Buffer,
    hold: () => HeldMessage,
  ): boolean {
    const handler = this.#byName.get(name)
    if (handler === undefined) {
      this.#drop(peer, name, bytes.length)
      return false
    }
    const message = new Message(peer, name, bytes, headers)
    if (handler instanceof MessageIterator) return this.#queue(handler, message, hold)
    this.#call(handler, message)
    return true
  }

  #queue(iterator: MessageIterator, message: Message, hold: () => HeldMessage): boolean {
    const { peer, name, bytes } = message
    const unread = this.#unread.get(peer) ?? { bytes: 0, isOverrun: false }
    if (unread.bytes > unreadBytesMax + 2 * this.#reports.messageBytesMax) {
      if (!unread.isOverrun) this.#reports.onOverrun(peer, name)
      unread.isOverrun = true
      return false
    }
    const heldBytes = leastMessageBytes + bytes.length
    iterator.take(message, () => {
      const held = hold()
      unread.bytes += heldBytes
      this.#unread.set(peer, unread)
      return {
        taken: () => {
          unread.bytes -= heldBytes
          unread.isOverrun = false
          if (unread.bytes === 0) this.#unread.delete(peer)
          held.taken()
        },
      }
    })
    return true
  }

  #call(handler: MessageHandler, message: Message): void {
    const onFailed = (error: unknown): void => this.#reports.onFailed(message.peer, message.name, error)
    try {
      onRejection(handler(message), onFailed)
    } catch (error) {
      onFailed(error)
    }
  }

  #drop(peer: string, name: string, lengthBytes: number): void {
    this.unhandled++
    if (this.#unhandledNames.has(name) || this.#unhandledNames.size >= unhandledNamesMax) return
    this.#unhandledNames.add(name)
    this.#reports.onUnhandled(peer, name, lengthBytes)
  }

  /** The network has ended: iterators end, and handlers are released. */
  end(): void {
    for (const handler of this.#byName.values()) if (handler instanceof MessageIterator) handler.end()
    this.#byName.clear()
  }
}
