/**
 * Owns: the checks of a hello against what this side knows (docs/protocol.md), all of them before it changes
 * anything; and the crossing rule.
 * Independent of: bytes (codec/hello.ts has checked each hello by itself), certificates, sockets, and the verdict.
 */
import { publicKeyLengthBytes, type Hello, type HelloFault, type RefusalName } from '../../../codec/hello.ts'
import type { PeerProcesses } from './peer-processes.ts'

/** What must not change within an epoch: every hello of an epoch repeats what the epoch began with. */
export type EpochLimits = Pick<
  Hello,
  'maxMessageLengthBytes' | 'laneWindowBytes' | 'resumeTimeoutMs' | 'links' | 'replayWindowBytes' | 'streamsMax'
>

const epochLimitNames = [
  'maxMessageLengthBytes',
  'laneWindowBytes',
  'resumeTimeoutMs',
  'links',
  'replayWindowBytes',
  'streamsMax',
] as const

export interface HelloContext {
  readonly linkIndex: number
  readonly ownKey: Uint8Array
  /** The key of the peer of this link. Under TLS, that of the certificate. */
  readonly peerKey: Uint8Array
  /** Number of links that this side is configured for. */
  readonly ownLinks: number
  /** The peer's epoch as this side knows it, 0n if it knows none; and the limits that this epoch began with. */
  readonly known: bigint
  readonly knownLimits: EpochLimits | null
  /** What this side knows about the processes of the peer. */
  readonly processes: PeerProcesses
}

export function epochLimitsOf(hello: EpochLimits): EpochLimits {
  const { maxMessageLengthBytes, laneWindowBytes, resumeTimeoutMs, links, replayWindowBytes, streamsMax } = hello
  return { maxMessageLengthBytes, laneWindowBytes, resumeTimeoutMs, links, replayWindowBytes, streamsMax }
}

/** A dialer's hello. @returns the first rule that it breaks, or null */
export function checkInboundHello(hello: Hello, context: HelloContext): HelloFault | null {
  return (
    checkParty(hello, context) ??
    checkLink(hello, context) ??
    checkFreshness(hello, context) ??
    checkLimits(hello, context)
  )
}

/** An acceptor's answer. It is never stale: it was made for the hello that it answers. */
export function checkAnswerHello(hello: Hello, context: HelloContext): HelloFault | null {
  if (hello.connectionId !== context.linkIndex) {
    return fault(
      'bad-hello',
      `The answer is for the connection id ${hello.connectionId}; ${context.linkIndex} was asked for.`,
    )
  }
  return checkParty(hello, context) ?? checkLink(hello, context) ?? checkLimits(hello, context)
}

/**
 * Crossing dials: the dial of the side with the greater key stays. Called after all checks.
 * @param ownHelloSent whether this side's own dial has sent its hello; if not, or if the peer's key is greater, it is
 *   dropped
 */
export function resolveCrossing(ownHelloSent: boolean, ownKey: Uint8Array, peerKey: Uint8Array): 'refuse' | 'accept' {
  return ownHelloSent && compareKeys(ownKey, peerKey) > 0 ? 'refuse' : 'accept'
}

/** As 32 bytes, first byte first. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < publicKeyLengthBytes; index += 1) {
    const difference = a[index]! - b[index]!
    if (difference !== 0) return difference
  }
  return 0
}

/**
 * Links in use with a peer: the smaller of this side's number and that of the peer's last adopted hello on link 0.
 * Before that hello, only link 0.
 */
export function linksInUse(ownLinks: number, peerLinks: number | null): number {
  return peerLinks === null ? 1 : Math.min(ownLinks, peerLinks)
}

function checkParty(hello: Hello, { ownKey, peerKey }: HelloContext): HelloFault | null {
  if (compareKeys(hello.publicKey, ownKey) === 0) return fault('self', 'This is the key of this side itself.')
  if (compareKeys(hello.publicKey, peerKey) !== 0)
    return fault('identity', 'The key in the hello is not the key of the peer.')
  return null
}

function checkLink(hello: Hello, { ownLinks }: HelloContext): HelloFault | null {
  const links = Math.min(ownLinks, hello.links)
  if (hello.connectionId < links) return null
  return fault(
    'no-such-link',
    `There is no link ${hello.connectionId}: this side has ${ownLinks} links and the other ${hello.links}.`,
  )
}

/** A dial may be dropped after it has sent its hello. The kernel still delivers that hello. */
function checkFreshness(hello: Hello, { linkIndex, processes }: HelloContext): HelloFault | null {
  if (!processes.isStale(linkIndex, hello)) return null
  // A late hello of the same process is caused by the network. There is nothing to look into.
  const message = processes.isOfCurrent(hello)
    ? `Hello ${hello.helloNumber} is not newer than the last one of this process.`
    : `Boot ${hello.bootId} is not newer than boot ${processes.greatestBootId}. Two nodes may be using this key, or a clock went back.`
  return { ...fault('stale', message), staleBootId: processes.staleBootId }
}

function checkLimits(hello: Hello, { known, knownLimits }: HelloContext): HelloFault | null {
  if (knownLimits === null || known === 0n || hello.epoch !== known) return null
  const changed = epochLimitNames.find((name) => hello[name] !== knownLimits[name])
  if (changed === undefined) return null
  return fault('bad-hello', `${changed} is ${hello[changed]}; this epoch began with ${knownLimits[changed]}.`)
}

function fault(name: RefusalName, message: string): HelloFault {
  return { name, message }
}
