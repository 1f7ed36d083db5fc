/**
 * Owns: the exchange of hellos (docs/protocol.md) in both roles, as bytes in and bytes out.
 * Independent of: sockets, deadlines, and how a link is found. `judge` decides what an inbound hello means for its
 * link, before anything changes.
 */
import { ProtocolError, StatewireError } from '../../../codec/errors.ts'
import { encodeHello, encodeRefusal, HelloReader } from '../../../codec/hello.ts'
import type { Hello, HelloFault, Refusal } from '../../../codec/hello.ts'
import { formatValue } from '../../../codec/format-value.ts'
import { HandshakeRefusedError } from '../../dialect.ts'
import type { AcceptorHandshake, DialerHandshake, DialRetry, HandshakeFault, HandshakeStep } from '../../dialect.ts'
import { encodePeerId } from '../../key-id.ts'
import type { LinkCore } from '../../link-core.ts'
import { resolveCrossing } from '../handshake/hello-checks.ts'
import { NativeLink } from './native-link.ts'

/** The two hellos of a connection, for its adoption. */
export class ExchangedHellos {
  readonly mine: Hello
  readonly theirs: Hello
  constructor(mine: Hello, theirs: Hello) {
    this.mine = mine
    this.theirs = theirs
  }
}

/** Refusals that end the calls that wait. Not `no-such-link`: it is dialled again when the peer has more links. */
const fatal: ReadonlySet<string> = new Set(['not-allowed', 'identity', 'version', 'self'])
const retries = { configuration: 'cap', none: 'free', transient: null } as const

function refusedError({ name, code, message }: Refusal, retry: DialRetry | null): HandshakeRefusedError {
  const text = `the hello was refused (${name ?? `code ${code}`})${message === '' ? '' : `: ${formatValue(message)}`}`
  const isFatal = name !== undefined && fatal.has(name)
  return new HandshakeRefusedError(isFatal ? 'ERR_NOT_ALLOWED' : 'ERR_HANDSHAKE_REFUSED', text, retry)
}

export class NativeDialerHandshake implements DialerHandshake {
  readonly #state: NativeLink
  readonly #reader = new HelloReader('dialer')
  #mine: Hello | null = null

  constructor(state: LinkCore) {
    this.#state = asNative(state)
  }

  begin(): Buffer {
    this.#mine = this.#state.epoch.composeHello()
    return encodeHello(this.#mine)
  }

  feed(bytes: Buffer): HandshakeStep {
    const step = this.#reader.feed(bytes)
    if (step.kind === 'more') return {}
    if (step.kind === 'foreign' || step.kind === 'fault') throw wrongAnswer('message' in step ? step : step.fault)
    if (step.kind === 'refusal') throw this.#refused(step.refusal)
    const fault = this.#state.epoch.checkAnswer(step.hello)
    if (fault?.name === 'identity')
      throw new StatewireError(
        'ERR_UNEXPECTED_PEER',
        `${encodePeerId(step.hello.publicKey)} answered instead of the peer that was dialled`,
      )
    if (fault !== null)
      throw new ProtocolError('ERR_HANDSHAKE_FAILED', `the acceptor's hello is wrong (${fault.name}): ${fault.message}`)
    return { verified: true, rest: step.rest, agreed: new ExchangedHellos(this.#mine as Hello, step.hello) }
  }

  #refused(refusal: Refusal): HandshakeRefusedError {
    const { name, effect, staleBootId } = refusal
    const retry = name === 'stale' ? this.#state.refusedAsStale(this.#mine as Hello, staleBootId) : retries[effect]
    return refusedError(refusal, retry)
  }
}

function wrongAnswer({ message }: { readonly message: string }): ProtocolError {
  return new ProtocolError('ERR_HANDSHAKE_FAILED', `the answer to the hello is wrong: ${message}`)
}

export class NativeAcceptorHandshake implements AcceptorHandshake {
  readonly #reader = new HelloReader('acceptor')
  #hello: Hello | null = null
  #rest: Buffer = Buffer.alloc(0)

  feed(bytes: Buffer): HandshakeStep {
    if (this.#hello !== null)
      throw new ProtocolError('ERR_HANDSHAKE_FAILED', 'the dialer sent bytes between its hello and the answer')
    const step = this.#reader.feed(bytes)
    if (step.kind === 'more') return {}
    if (step.kind === 'fault') return { refuse: refusalOf(step.fault) }
    if (step.kind !== 'hello')
      throw new ProtocolError('ERR_HANDSHAKE_FAILED', step.kind === 'foreign' ? step.message : 'a refusal came first')
    this.#hello = step.hello
    this.#rest = step.rest
    if (step.rest.length > 0)
      return { refuse: refusalOf({ name: 'bad-hello', message: 'bytes came between the hello and the answer' }) }
    return { claim: { identity: encodePeerId(step.hello.publicKey), linkIndex: step.hello.connectionId } }
  }

  judge(state: LinkCore, hasSentHello: boolean): HandshakeFault | null {
    const native = asNative(state)
    const hello = this.#hello as Hello
    const fault = native.epoch.checkInbound(hello)
    if (fault !== null) return refusalOf(fault, native.epoch.isLate(hello))
    if (resolveCrossing(hasSentHello, native.epoch.ownKey, hello.publicKey) === 'refuse')
      return refusalOf({ name: 'crossing', message: 'this side has dialled already' }, true)
    return null
  }

  refusal(name: HelloFault['name'], message: string): HandshakeFault {
    return refusalOf({ name, message })
  }

  confirm(state: LinkCore): { write: Buffer; rest: Buffer; agreed: ExchangedHellos } {
    const mine = asNative(state).epoch.composeHello()
    return { write: encodeHello(mine), rest: this.#rest, agreed: new ExchangedHellos(mine, this.#hello as Hello) }
  }
}

function refusalOf({ name, message, staleBootId }: HelloFault, isExpected = false): HandshakeFault {
  return { write: encodeRefusal(name, message, staleBootId), reason: `${name}: ${message}`, isExpected }
}

function asNative(state: LinkCore): NativeLink {
  if (!(state instanceof NativeLink)) throw new StatewireError('ERR_INTERNAL', 'this link is not of the native dialect')
  return state
}
