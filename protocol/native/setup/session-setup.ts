/**
 * Owns: how calls of makeSessions find the calls of their peers, for all calls of one network: Want, Make, Made, Refuse
 * and Agree, and attempts that are void (docs/protocol.md).
 * Independent of: sockets, clocks, memory and charts: links are behind SetupPort, and random numbers are passed in.
 */
import type { SetupCall, SetupFrame, SetupHandle, SetupPort } from './setup-port.ts'

export interface SessionSetupOptions {
  /** @returns a random number below 2^bits */
  readonly randomBits: (bits: number) => bigint
}

export class SessionSetup<Lane> {
  constructor(_options: SessionSetupOptions) {
    throw new Error('not implemented')
  }

  addPeer(_peer: string, _port: SetupPort<Lane>): void {
    throw new Error('not implemented')
  }

  /** The peer is drained or gone: its calls fail with the error. Nothing is sent to it any more. */
  removePeer(_peer: string, _error: Error): void {
    throw new Error('not implemented')
  }

  /** The peers must have been added. `onDone` and `onFailed` are called at most once in total, at the end of an event. */
  call(_call: SetupCall<Lane>): SetupHandle {
    throw new Error('not implemented')
  }

  /** Throws ProtocolError; the link ends its epoch then and calls {@link linkReset}. */
  onFrame(_peer: string, _link: number, _frame: SetupFrame): void {
    throw new Error('not implemented')
  }

  /** The link has adopted a hello; {@link SetupPort.isUp} and `links` are up to date. May be called at each resume. */
  linkUp(_peer: string, _link: number): void {
    throw new Error('not implemented')
  }

  /**
   * The epoch of the link has ended, for whatever reason. To be called before the lanes of the link end and after its
   * `ids` are new, with `isUp` false.
   */
  linkReset(_peer: string, _link: number): void {
    throw new Error('not implemented')
  }

  /** The number of links in use with the peer has changed: attempts that counted on the old number are void. */
  linksChanged(_peer: string): void {
    throw new Error('not implemented')
  }
}
