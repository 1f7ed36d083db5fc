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
import type { AcceptorHandshake, DialerHandshake, HandshakeFault, HandshakeStep } from '../../dialect.ts'
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

/** Refusals that stay until someone changes a configuration. `no-such-link` is not one: peers agree on their number. */
const permanent: ReadonlySet<string> = new Set(['not-allowed', 'identity', 'version', 'self'])

function refusedError({ name, code, message, effect }: Refusal): HandshakeRefusedError {
  const text = `the hello was refused (${name ?? `code ${code}`})${message === '' ? '' : `: ${formatValue(message)}`}`
  const isPermanent = name !== undefined && permanent.has(name)
  const isConfiguration = isPermanent || effect === 'configuration'
  const retry = name === 'stale' ? 'stale' : isConfiguration ? 'cap' : effect === 'none' ? 'free' : null
  return new HandshakeRefusedError(isPermanent ? 'ERR_NOT_ALLOWED' : 'ERR_HANDSHAKE_REFUSED', text, retry)
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
    if (step.kind === 'fault')
      throw new ProtocolError('ERR_HANDSHAKE_FAILED', `the answer to the hello is wrong: ${step.fault.message}`)
    if (step.kind === 'refusal') throw refusedError(step.refusal)
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
    if (step.kind !== 'hello')
      return {
        refuse: refusalOf(
          step.kind === 'fault' ? step.fault : { name: 'bad-hello', message: 'a dialer began with a refusal' },
        ),
      }
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

function refusalOf({ name, message }: HelloFault, isExpected = false): HandshakeFault {
  return { write: encodeRefusal(name, message), reason: `${name}: ${message}`, isExpected }
}

function asNative(state: LinkCore): NativeLink {
  if (!(state instanceof NativeLink)) throw new StatewireError('ERR_INTERNAL', 'this link is not of the native dialect')
  return state
}
