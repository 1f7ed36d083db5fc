/**
 * A process of the swarm. Owns: the conversation with the parent over the channel of `fork`, and that this process
 * never outlives it.
 * Independent of: networks and files; that is the peer (peer.ts).
 */
import { existsSync } from 'node:fs'
import { Identity } from '../../index.ts'
import { SwarmPeer } from './peer.ts'
import type { ParentMessage, PeerMessage } from './reports.ts'

const reportEveryMs = 200

/**
 * A peer that keeps its identity over a crash stores its key in a file; others generate one for the life of the
 * process.
 */
const key = await keyFrom(process.argv[2])
let peer: SwarmPeer | null = null
let reports: NodeJS.Timeout | undefined
let isStopping = false

async function keyFrom(file: string | undefined): Promise<Identity> {
  if (file !== undefined && existsSync(file)) return Identity.load(file)
  const made = Identity.generate()
  if (file !== undefined) await made.save(file)
  return made
}

function sendToParent(message: PeerMessage, onSent: () => void = () => {}): void {
  // The parent may be gone already; 'disconnect' ends this process.
  if (process.connected) process.send?.(message, undefined, {}, onSent)
}

async function act(message: ParentMessage): Promise<void> {
  if (message.type === 'stop') isStopping = true
  if (message.type === 'start') {
    peer = new SwarmPeer(message, key)
    sendToParent({ type: 'listening', url: await peer.listen() })
    const started = peer
    if (!isStopping)
      reports = setInterval(() => sendToParent({ type: 'report', report: started.report() }), reportEveryMs)
    await peer.makeSessions()
    sendToParent({ type: 'ready' })
    return
  }
  if (peer === null) {
    // Not in this tick: Node 20 is still delivering messages that came before there was a listener, and needs the
    // channel.
    if (message.type === 'stop') setImmediate(() => process.disconnect())
    return
  }
  if (message.type === 'go') peer.go()
  else if (message.type === 'kill') peer.kill()
  else if (message.type === 'drain') {
    await peer.drain()
    sendToParent({ type: 'drained', report: peer.report() })
  } else {
    clearInterval(reports)
    const left = await peer.stop()
    // Then nothing keeps this process alive: it ends by itself, and would not if something did.
    sendToParent({ type: 'stopped', report: peer.report(), left }, () => process.disconnect())
  }
}

function fail(error: unknown): void {
  // A start that a stop interrupts is not a failure.
  if (isStopping) return
  sendToParent({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
}

process.on('message', (message) => {
  act(message as ParentMessage).catch(fail)
})
process.on('disconnect', () => {
  if (peer === null) return
  // After 'stopped' nothing is left to do; without it the parent has died.
  setTimeout(() => process.exit(3), 1000).unref()
  void peer.stop()
})
sendToParent({ type: 'booted', keyId: key.id })
