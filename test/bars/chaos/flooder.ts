/**
 * The child process that floods: it connects as the hostile peer, sends one kind of flood as fast as it can, and
 * reconnects at once when it is closed.
 * Independent of: the outcome.
 *
 * Takes its orders as an argument, and ends after the given time with one message about what it did.
 */
import { Identity } from '../../../actors/index.ts'
import { pause } from '../bar.ts'
import { floods, sessionsOfVictim } from './floods.ts'
import { compareKeys } from '../../../protocol/native/handshake/hello-checks.ts'
import { HandMadeSetup } from '../../support/hand-made-setup.ts'
import { HostilePeer } from './hostile-peer.ts'

export interface FlooderOrders {
  readonly pem: string
  readonly port: number
  readonly flood: string
  readonly seconds: number
  readonly maxMessageLengthBytes: number
}

export interface FlooderReport {
  readonly connects: number
  readonly taken: number
  readonly saidBytes: number
  readonly said: number
  readonly goodbyes: readonly string[]
  readonly refusals: readonly string[]
}

const orders = JSON.parse(process.argv[2] ?? '{}') as FlooderOrders
const identity = Identity.fromPem(orders.pem)
const flood = floods(orders.maxMessageLengthBytes).find(({ name }) => name === orders.flood)
if (flood === undefined) throw new Error(`there is no flood ${orders.flood}`)
const untilMs = performance.now() + orders.seconds * 1000
const report = { connects: 0, taken: 0, saidBytes: 0, said: 0 }
const goodbyes = new Set<string>()
const refusals = new Set<string>()
/** Separate records: the TLS socket makes one record of each write that waits for the one before. */
const slicesAtOnce = 500

async function attack(peer: HostilePeer, setup: HandMadeSetup): Promise<void> {
  await Promise.race([peer.whenAnswered, pause(6_000)])
  if (!peer.isUp) return
  report.taken++
  const isGreater = compareKeys(identity.publicKey, peer.theirs?.publicKey ?? identity.publicKey) > 0
  setup.begin(isGreater)
  // The victim's application makes its sessions within a moment.
  for (let look = 0; look < 100 && setup.firstId === null && !peer.isClosed; look++) await pause(5)
  if (flood?.readsNothing === true) peer.stopReading()
  if (flood?.first !== undefined) await peer.say(flood.first())
  for (let number = 0; performance.now() < untilMs && !peer.isClosed; number++) {
    const bytes = flood?.again(number, peer.counted, isGreater) as Buffer
    if (flood?.isSliced === true)
      for (let slice = 1; slice < slicesAtOnce && peer.socket.writable; slice++)
        await new Promise((resolve) => peer.socket.write(bytes, resolve))
    if (!(await Promise.race([peer.say(bytes), pause(Math.max(0, untilMs - performance.now())).then(() => false)])))
      break
    report.said++
    report.saidBytes += bytes.length * (flood?.isSliced === true ? slicesAtOnce : 1)
    await (flood?.pauseMs === undefined ? new Promise((resolve) => setImmediate(resolve)) : pause(flood.pauseMs))
  }
}

while (performance.now() < untilMs) {
  const setup = new HandMadeSetup({ count: sessionsOfVictim, say: (frames) => void peer.say(frames) })
  const peer: HostilePeer = new HostilePeer(orders.port, identity, {
    onFrame: (lane, descriptor, body) => setup.onFrame(lane, descriptor, body),
  })
  report.connects++
  await attack(peer, setup)
  if (peer.goodbye !== null) goodbyes.add(peer.goodbye)
  if (peer.refusal !== null) refusals.add(`${peer.refusal.name}: ${peer.refusal.message}`)
  peer.end()
  await Promise.race([peer.whenClosed, pause(100)])
}
process.send?.({ ...report, goodbyes: [...goodbyes], refusals: [...refusals] } satisfies FlooderReport)
process.exit(0)
