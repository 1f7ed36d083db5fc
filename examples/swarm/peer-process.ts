/**
 * A process of the swarm. Owns: the conversation with the parent over the channel of `fork`, and that this process never
 * outlives it.
 * Refuses to know: networks and files; that is the peer (peer.ts).
 */
import { existsSync } from 'node:fs'
import { Identity } from '../../index.ts'
import { SwarmPeer } from './peer.ts'
import type { ParentMessage, PeerMessage } from './reports.ts'

const reportEveryMs = 200

/** A peer that is to be known again after a crash keeps its key in a file; others make one for as long as the process lives. */
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

function tell(message: PeerMessage, onSent: () => void = () => {}): void {
  // The parent may be gone already; 'disconnect' ends this process.
  if (process.connected) process.send?.(message, undefined, {}, onSent)
}

async function act(message: ParentMessage): Promise<void> {
  if (message.type === 'stop') isStopping = true
  if (message.type === 'start') {
    peer = new SwarmPeer(message, key)
    tell({ type: 'listening', url: await peer.listen() })
    const started = peer
    if (!isStopping) reports = setInterval(() => tell({ type: 'report', report: started.report() }), reportEveryMs)
    await peer.makeSessions()
    tell({ type: 'ready' })
    return
  }
  if (peer === null) {
    // Not in this turn: Node 20 is not done with the channel while it hands on what came before there was a listener.
    if (message.type === 'stop') setImmediate(() => process.disconnect())
    return
  }
  if (message.type === 'go') peer.go()
  else if (message.type === 'kill') peer.kill()
  else if (message.type === 'drain') {
    await peer.drain()
    tell({ type: 'drained', report: peer.report() })
  } else {
    clearInterval(reports)
    const left = await peer.stop()
    // Then nothing is left that would keep this process: it ends by itself, and would not if something were.
    tell({ type: 'stopped', report: peer.report(), left }, () => process.disconnect())
  }
}

function fail(error: unknown): void {
  // A start that is broken off by the stop is none of its failures.
  if (isStopping) return
  tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
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
tell({ type: 'booted', keyId: key.id })
