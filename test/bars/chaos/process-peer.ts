/**
 * A child process that is killed without warning: a network that talks to all its peers as long as it lives.
 * Owns: recording what it received and what was acknowledged, before anything follows from it. Independent of: when it
 * is killed.
 */
import { openSync } from 'node:fs'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Session } from '../../../actors/index.ts'
import type { NetworkValue } from '../../../codec/index.ts'
import { LinkResetError } from '../../../protocol/native/lanes/native-lane.ts'
import { pause } from '../bar.ts'
import { appendEntry, entryKinds } from './delivery-record.ts'
import type { FlowName } from './delivery-record.ts'

export interface ProcessPeerPlan {
  readonly own: number
  readonly boot: number
  readonly keyPem: string
  readonly recordPath: string
  /** By number, itself included. A url means: dial. */
  readonly peers: readonly { readonly id: string; readonly url: string | null }[]
  readonly lanes: number
  readonly links: number
}

export type ProcessPeerMessage =
  | { readonly type: 'listening'; readonly port: number }
  /** Sessions with that peer, also after a break. */
  | { readonly type: 'talking'; readonly with: number }
  | { readonly type: 'finished'; readonly retries: number }

const plan = JSON.parse(process.argv[2] as string) as ProcessPeerPlan
const record = openSync(plan.recordPath, 'a')
const tell = (message: ProcessPeerMessage): void => void process.send?.(message)
/** The current counts. */
const life = { isFinishing: false, retries: 0 }

const valueLengthBytes = 16

function encode(flow: FlowName, number: number): NetworkValue {
  // Some are longer, so that TLS records begin and end anywhere.
  const bytes = Buffer.alloc(valueLengthBytes + (number % 7 === 0 ? 300 : number % 5))
  bytes.set([flow.sender, flow.receiver, flow.lane])
  bytes.writeUInt32LE(flow.boot, 4)
  bytes.writeUInt32LE(flow.generation, 8)
  bytes.writeUInt32LE(number, 12)
  return { type: 'Bytes', value: bytes }
}

function decode(value: NetworkValue): { flow: FlowName; number: number } {
  if (value.type !== 'Bytes') throw new Error(`a ${value.type} came, which was not sent`)
  const bytes = Buffer.from(value.value)
  return {
    flow: {
      sender: bytes[0] as number,
      receiver: bytes[1] as number,
      lane: bytes[2] as number,
      boot: bytes.readUInt32LE(4),
      generation: bytes.readUInt32LE(8),
    },
    number: bytes.readUInt32LE(12),
  }
}

/** One session with one peer, until it ends. */
async function talkOn(session: Session, peer: string, flow: FlowName): Promise<void> {
  let sent = 0
  const talk = { isOver: false }
  const send = (): Promise<void> => session.send(peer, encode(flow, sent++))
  let onGo = (): void => {}
  const go = new Promise<void>((resolve) => (onGo = resolve))
  session.handle(peer, (value) => {
    const got = decode(value)
    if (got.number === 0) onGo()
    else appendEntry(record, entryKinds.delivered, got.flow, [got.number])
  })
  appendEntry(record, entryKinds.opened, flow, [])
  const ended = session.ended(peer).then((error) => {
    talk.isOver = true
    onGo()
    if (error instanceof LinkResetError)
      appendEntry(record, entryKinds.reset, flow, [
        error.outcomes.acked,
        error.outcomes.unknown,
        error.outcomes.notSent,
        sent,
      ])
    else appendEntry(record, entryKinds.otherEnd, flow, [])
  })
  const flush = async (): Promise<void> => {
    const upTo = sent
    await session.flush()
    appendEntry(record, entryKinds.flushed, flow, [upTo])
  }
  try {
    await send()
    // The peer has its handler now: from here on, nothing that was acknowledged waits unread.
    await go
    tell({ type: 'talking', with: flow.receiver })
    while (!talk.isOver && !life.isFinishing) {
      for (let left = 1 + Math.floor(Math.random() * 20); left > 0 && !talk.isOver; left--) await send()
      if (Math.random() < 0.3) await flush()
      await pause(Math.random() * 8)
    }
    if (!talk.isOver) return await flush()
  } catch {
    // Reported by `ended`.
  }
  await ended
}

async function converse(other: number): Promise<void> {
  const peer = plan.peers[other]?.id as string
  for (let generation = 0; !life.isFinishing; generation++) {
    let sessions: Session[]
    try {
      sessions = await network.makeSessions({ count: plan.lanes, peers: [peer], timeoutMs: 10_000 })
    } catch {
      life.retries++
      await pause(5)
      continue
    }
    await Promise.all(
      sessions.map((session, lane) =>
        talkOn(session, peer, { sender: plan.own, receiver: other, boot: plan.boot, generation, lane }),
      ),
    )
  }
}

const network = createNetwork({
  identity: Identity.fromPem(plan.keyPem),
  listen: 'tls://127.0.0.1:0',
  peers: plan.peers
    .filter((_, index) => index !== plan.own)
    .map(({ id, url }) => ({ id, ...(url === null ? {} : { urls: url }) })),
  connectionParallelism: plan.links,
  limits: { backoffMinMs: 5, backoffMaxMs: 200, connectBurst: 1_000_000, pendingInboundPerAddressMax: 64 },
})

await network.ready()
tell({ type: 'listening', port: Number(new URL(network.url as string).port) })
const conversations = plan.peers.flatMap((_, other) => (other === plan.own ? [] : [converse(other)]))
process.on('message', (message: { type: 'finish' | 'stop' }) => {
  if (message.type === 'stop') process.exit(0)
  life.isFinishing = true
  void Promise.all(conversations).then(() => tell({ type: 'finished', retries: life.retries }))
})
process.on('disconnect', () => process.exit(0))
