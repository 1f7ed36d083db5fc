/**
 * Owns: the processes of the swarm: starts them, tells them what to do and when, breaks their sockets, and sees every one
 * of them end.
 * Refuses to know: the terminal, and what makes a run a good one (summary.ts).
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { SwarmOptions } from './options.ts'
import type { Left, ParentMessage, PeerMessage, PeerReport, StartMessage } from './reports.ts'
import type { SwarmFile } from './transfer.ts'

/** Starting Node and making sessions, on a machine that is busy with fifteen others. */
const startTimeoutMs = 30_000
/** A round ends within its sender's patience (20 s without an answer) or not at all. */
const drainTimeoutMs = 30_000
/** The network's own limit is 5 s. */
const stopTimeoutMs = 10_000

export type Phase = 'starting' | 'running' | 'draining' | 'stopping' | 'over'

interface PeerProcess {
  readonly number: number
  /** Native: known once the process has booted. */
  id: string
  readonly child: ChildProcess
  readonly seen: Map<PeerMessage['type'], PeerMessage>
  exit: string | null
}

/** What is left to judge when all processes have ended. */
export interface SwarmResult {
  readonly reports: readonly PeerReport[]
  readonly left: readonly (Left & { readonly number: number })[]
  /** A process that ended, did not start or did not answer: one sentence each. */
  readonly deaths: readonly string[]
  readonly isInterrupted: boolean
  /** Every round that was begun has ended. */
  readonly isComplete: boolean
  /** From the first round to the last. */
  readonly transferMs: number
}

export class Swarm {
  readonly #options: SwarmOptions
  readonly #file: SwarmFile
  readonly #peers: PeerProcess[] = []
  readonly #reports = new Map<number, PeerReport>()
  readonly #deaths: string[] = []
  readonly #waiting = new Set<() => void>()
  #phase: Phase = 'starting'
  #isInterrupted = false
  #startedAtMs = 0

  constructor(options: SwarmOptions, file: SwarmFile) {
    this.#options = options
    this.#file = file
  }

  get phase(): Phase {
    return this.#phase
  }

  /** Milliseconds since the first round began; 0 before. */
  get runningMs(): number {
    return this.#startedAtMs === 0 ? 0 : Date.now() - this.#startedAtMs
  }

  /** The last report of each peer, in order. */
  get reports(): PeerReport[] {
    return [...this.#reports.values()].sort((a, b) => a.number - b.number)
  }

  get peersRunning(): number {
    return this.#peers.filter(({ exit }) => exit === null).length
  }

  /** Runs from the first process to the last exit. Never rejects: what went wrong is in the result. */
  async run(): Promise<SwarmResult> {
    let isComplete = false
    try {
      await this.#startAll()
      if (!this.#isInterrupted) {
        this.#phase = 'running'
        this.#startedAtMs = Date.now()
        this.#tellAll({ type: 'go' })
        await this.#breakSocketsUntilOver()
        this.#phase = 'draining'
        this.#tellAll({ type: 'drain' })
        await this.#allSeen('drained', drainTimeoutMs)
        isComplete = true
      }
    } catch (error) {
      if (this.#deaths.length === 0) this.#deaths.push((error as Error).message)
    }
    const transferMs = this.runningMs
    this.#phase = 'stopping'
    await this.#stopAll()
    this.#phase = 'over'
    const left = this.#peers.flatMap(({ number, seen }) => {
      const stopped = seen.get('stopped')
      return stopped?.type === 'stopped' ? [{ number, ...stopped.left }] : []
    })
    return { reports: this.reports, left, deaths: this.#deaths, isInterrupted: this.#isInterrupted, isComplete, transferMs }
  }

  /** Finishes the rounds under way, then everything. */
  interrupt(): void {
    this.#isInterrupted = true
    this.#wake()
  }

  /** Leaves no process behind, and asks nobody. */
  killAll(): void {
    for (const { child, exit } of this.#peers) if (exit === null) child.kill('SIGKILL')
  }

  /**
   * The processes boot together and each makes its key: everybody needs the ids of all. Then they listen in order, each on
   * a port that the system chose, so that no two runs can meet on one; the greater number dials the lesser one's address.
   */
  async #startAll(): Promise<void> {
    for (let number = 1; number <= this.#options.peers; number++) this.#fork(number)
    await this.#allSeen('booted', startTimeoutMs)
    const urls = new Map<number, string>()
    for (const peer of this.#peers) {
      if (this.#isInterrupted) return
      this.#tell(peer, this.#startMessage(peer, urls))
      await this.#until(() => peer.seen.has('listening'), startTimeoutMs, () => `peer ${peer.number} did not listen within ${startTimeoutMs} ms`)
      const listening = peer.seen.get('listening')
      if (listening?.type === 'listening') urls.set(peer.number, listening.url)
    }
    await this.#allSeen('ready', startTimeoutMs)
  }

  #startMessage({ number, id }: PeerProcess, urls: ReadonlyMap<number, string>): StartMessage {
    const { dialect, security, resumeWithinMs, sessions, connections, corrupt } = this.#options
    const others = this.#peers.filter((other) => other.number !== number).map((other) => {
      const url = urls.get(other.number)
      return url === undefined ? { id: other.id, number: other.number } : { id: other.id, number: other.number, url }
    })
    return { type: 'start', number, id, dialect, security, resumeWithinMs, others, sessions, connections, file: this.#file, corrupt: corrupt && number === 1 }
  }

  #fork(number: number): void {
    const script = new URL(import.meta.url.endsWith('.ts') ? 'peer-process.ts' : 'peer-process.js', import.meta.url)
    // In a group of its own: Ctrl-C is for the parent alone. It ends when the channel to the parent does (peer-process.ts).
    const child = fork(script, { detached: true, serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    // In the dialect ampc the greater name dials; names are compared as bytes, and two digits keep the order of the numbers.
    const peer: PeerProcess = { number, id: `peer-${String(number).padStart(2, '0')}`, child, seen: new Map(), exit: null }
    this.#peers.push(peer)
    child.on('message', (message) => this.#onMessage(peer, message as PeerMessage))
    child.on('error', (error) => this.#onExit(peer, error.message))
    child.on('exit', (code, signal) => this.#onExit(peer, signal === null ? `exit code ${String(code)}` : signal))
  }

  #onMessage(peer: PeerProcess, message: PeerMessage): void {
    if (message.type === 'report' || message.type === 'stopped') this.#reports.set(peer.number, message.report)
    if (message.type === 'booted' && this.#options.dialect === 'native') peer.id = message.keyId
    if (message.type === 'failed') this.#deaths.push(`peer ${peer.number} failed: ${message.message}`)
    if (message.type !== 'report') peer.seen.set(message.type, message)
    this.#wake()
  }

  #onExit(peer: PeerProcess, how: string): void {
    if (peer.exit !== null) return
    peer.exit = how
    if (how !== 'exit code 0' || (this.#phase !== 'stopping' && this.#deaths.length === 0)) {
      this.#deaths.push(`the process of peer ${peer.number} ended with ${how} ${peer.seen.has('stopped') ? 'after its network had stopped' : 'before its work was done'}`)
    }
    this.#wake()
  }

  /** Until the duration is over, somebody interrupts, or a peer is gone. Sockets of random peers are destroyed meanwhile. */
  async #breakSocketsUntilOver(): Promise<void> {
    const { durationMs, killEveryMs } = this.#options
    const kills = killEveryMs === 0 ? undefined : setInterval(() => {
      const peer = this.#peers[Math.floor(Math.random() * this.#peers.length)]
      if (peer !== undefined) this.#tell(peer, { type: 'kill' })
    }, killEveryMs)
    try {
      await this.#until(() => this.#isInterrupted, durationMs, () => null)
    } finally {
      clearInterval(kills)
    }
  }

  async #stopAll(): Promise<void> {
    this.#tellAll({ type: 'stop' })
    try {
      await this.#waitFor(() => this.peersRunning === 0, stopTimeoutMs)
    } finally {
      const stuck = this.#peers.filter(({ exit }) => exit === null)
      for (const { number } of stuck) this.#deaths.push(`the process of peer ${number} did not end within ${stopTimeoutMs} ms`)
      this.killAll()
      await this.#waitFor(() => this.peersRunning === 0, stopTimeoutMs)
    }
  }

  #allSeen(type: PeerMessage['type'], timeoutMs: number): Promise<void> {
    const late = (): PeerProcess[] => this.#peers.filter(({ seen }) => !seen.has(type))
    return this.#until(() => late().length === 0, timeoutMs, () => `no '${type}' within ${timeoutMs} ms of peer ${late().map(({ number }) => number).join(', ')}`)
  }

  /** @throws when a peer is gone, or the time is over and `late` has something to say; an interrupted start ends early */
  async #until(condition: () => boolean, timeoutMs: number, late: () => string | null): Promise<void> {
    const isOver = (): boolean => condition() || this.#deaths.length > 0 || (this.#isInterrupted && this.#phase === 'starting')
    const inTime = await this.#waitFor(isOver, timeoutMs)
    if (this.#deaths.length > 0) throw new Error(this.#deaths[0])
    const sentence = inTime ? null : late()
    if (sentence !== null) throw new Error(sentence)
  }

  /** @returns false if the time was over first */
  async #waitFor(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    const untilMs = Date.now() + timeoutMs
    while (!condition()) {
      const leftMs = untilMs - Date.now()
      if (leftMs <= 0) return false
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, leftMs)
        this.#waiting.add(wake)
      })
    }
    return true
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  #tellAll(message: ParentMessage): void {
    for (const peer of this.#peers) this.#tell(peer, message)
  }

  #tell({ child }: PeerProcess, message: ParentMessage): void {
    if (child.connected) child.send(message, () => {})
  }
}
