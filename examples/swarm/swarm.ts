/**
 * Owns: the processes of the swarm: starts and instructs them, destroys their sockets, crashes them, and waits for each
 * to end.
 * Independent of: the terminal, and of what makes a run a good one (summary.ts).
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { SwarmOptions } from './options.ts'
import type { Left, ParentMessage, PeerMessage, PeerReport, StartMessage } from './reports.ts'
import type { SwarmFile } from './transfer.ts'

/** Starting Node and making sessions, on a machine that is busy with fifteen others. */
const startTimeoutMs = 30_000
/** A round ends within its sender's time limit (20 s without an answer) or not at all. */
const drainTimeoutMs = 30_000
/** The network's own limit is 5 s. */
const stopTimeoutMs = 10_000

export type Phase = 'starting' | 'running' | 'draining' | 'stopping' | 'over'

interface PeerProcess {
  readonly number: number
  /** Native: known once the process has booted. */
  id: string
  child: ChildProcess
  readonly seen: Map<PeerMessage['type'], PeerMessage>
  exit: string | null
  /** How often it was crashed on purpose. */
  run: number
  url: string | null
}

/** What a viewer of the swarm sees. */
export interface SwarmView {
  readonly phase: Phase
  readonly runningMs: number
  readonly crashes: number
  /** Sockets destroyed, also by processes that were crashed since. */
  readonly kills: number
  /** The last report of each peer, in order. */
  readonly reports: readonly PeerReport[]
  /** Peers without a process, and why. */
  readonly down: ReadonlyMap<number, string>
}

/** What the summary judges when all processes have ended. */
export interface SwarmResult {
  readonly reports: readonly PeerReport[]
  /** The last reports of processes that were crashed on purpose. */
  readonly crashed: readonly PeerReport[]
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
  readonly #crashed: PeerReport[] = []
  readonly #deaths: string[] = []
  /** Where keys are kept that must survive a crash. */
  readonly #keys: string | null
  readonly #waiting = new Set<() => void>()
  #phase: Phase = 'starting'
  #isInterrupted = false
  #startedAtMs = 0
  /** The state shown from the end of the transfer on: what peers see of each other's shutdown is not a fault. */
  #lastView: SwarmView | null = null

  constructor(options: SwarmOptions, file: SwarmFile) {
    this.#options = options
    this.#file = file
    this.#keys = options.crashEveryMs === 0 ? null : mkdtempSync(path.join(tmpdir(), 'statewire-swarm-'))
  }

  get view(): SwarmView {
    return this.#lastView === null ? this.#viewNow() : { ...this.#lastView, phase: this.#phase }
  }

  #viewNow(): SwarmView {
    const down = new Map(
      this.#peers.flatMap(({ number, exit, seen, run }) =>
        exit !== null ? [[number, exit] as const] : run > 0 && !seen.has('ready') ? [[number, 'crashed'] as const] : [],
      ),
    )
    const reports = this.#sortedReports()
    const kills = [...reports, ...this.#crashed].reduce((total, report) => total + report.kills, 0)
    return { phase: this.#phase, runningMs: this.#runningMs, crashes: this.#crashed.length, kills, reports, down }
  }

  /** Milliseconds since the first round began; 0 before. */
  get #runningMs(): number {
    return this.#startedAtMs === 0 ? 0 : Date.now() - this.#startedAtMs
  }

  #sortedReports(): PeerReport[] {
    return [...this.#reports.values()].sort((a, b) => a.number - b.number)
  }

  get #peersRunning(): number {
    return this.#peers.filter(({ exit }) => exit === null).length
  }

  /** Runs from the first process to the last exit. Never rejects: errors are in the result. */
  async run(): Promise<SwarmResult> {
    let isComplete = false
    try {
      await this.#startAll()
      if (!this.#isInterrupted) {
        this.#phase = 'running'
        this.#startedAtMs = Date.now()
        this.#sendToAll({ type: 'go' })
        await this.#breakThingsUntilOver()
        // A process that was crashed takes part in the end again.
        await this.#allSeen('ready', startTimeoutMs)
        this.#phase = 'draining'
        this.#sendToAll({ type: 'drain' })
        await this.#allSeen('drained', drainTimeoutMs)
        isComplete = true
      }
    } catch (error) {
      if (this.#deaths.length === 0) this.#deaths.push((error as Error).message)
    }
    const transferMs = this.#runningMs
    this.#phase = 'stopping'
    this.#lastView = this.#viewNow()
    await this.#stopAll()
    this.#phase = 'over'
    const left = this.#peers.flatMap(({ number, seen }) => {
      const stopped = seen.get('stopped')
      return stopped?.type === 'stopped' ? [{ number, ...stopped.left }] : []
    })
    return {
      reports: this.#sortedReports(),
      crashed: this.#crashed,
      left,
      deaths: this.#deaths,
      isInterrupted: this.#isInterrupted,
      isComplete,
      transferMs,
    }
  }

  /** Finishes the rounds under way, then everything. */
  interrupt(): void {
    this.#isInterrupted = true
    this.#wake()
  }

  /** Kills every process that is left, without asking. */
  killAll(): void {
    for (const { child, exit } of this.#peers) if (exit === null) child.kill('SIGKILL')
    if (this.#keys !== null) rmSync(this.#keys, { recursive: true, force: true })
  }

  /**
   * The processes boot together and each generates its key, because every peer needs all ids. Then they listen in
   * order, each on a port that the system chose, so that two runs cannot collide. The greater number dials the lesser
   * one's address.
   */
  async #startAll(): Promise<void> {
    for (let number = 1; number <= this.#options.peers; number++) this.#fork(number)
    await this.#allSeen('booted', startTimeoutMs)
    for (const peer of this.#peers) {
      if (this.#isInterrupted) return
      this.#send(peer, this.#startMessage(peer))
      await this.#until(
        () => peer.seen.has('listening'),
        startTimeoutMs,
        () => `peer ${peer.number} did not listen within ${startTimeoutMs} ms`,
      )
    }
    await this.#allSeen('ready', startTimeoutMs)
  }

  #startMessage({ number, id, run, url: listenAt }: PeerProcess): StartMessage {
    const { dialect, security, resumeWithinMs, sessions, connections, corrupt } = this.#options
    const others = this.#peers
      .filter((other) => other.number !== number)
      .map((other) => {
        return other.url === null || other.number > number
          ? { id: other.id, number: other.number }
          : { id: other.id, number: other.number, url: other.url }
      })
    return {
      type: 'start',
      number,
      run,
      listenAt,
      id,
      dialect,
      security,
      resumeWithinMs,
      others,
      sessions,
      connections,
      file: this.#file,
      corrupt: corrupt && number === 1,
    }
  }

  #fork(number: number): void {
    // In the ampc dialect the greater name dials; names are compared as bytes, and two digits keep the order of the
    // numbers.
    const peer: PeerProcess = {
      number,
      id: `peer-${String(number).padStart(2, '0')}`,
      child: this.#spawn(number),
      seen: new Map(),
      exit: null,
      run: 0,
      url: null,
    }
    this.#peers.push(peer)
    this.#listen(peer)
  }

  #spawn(number: number): ChildProcess {
    const script = new URL(import.meta.url.endsWith('.ts') ? 'peer-process.ts' : 'peer-process.js', import.meta.url)
    // In a group of its own: Ctrl-C is for the parent alone. It ends when the channel to the parent does
    // (peer-process.ts).
    const keyFile = this.#keys === null ? [] : [path.join(this.#keys, `peer-${number}.pem`)]
    return fork(script, keyFile, {
      detached: true,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
  }

  #listen(peer: PeerProcess): void {
    const { child, run } = peer
    child.on('message', (message) => {
      // Messages that a crashed process had still sent.
      if (peer.run === run) this.#onMessage(peer, message as PeerMessage)
    })
    child.on('error', (error) => this.#onExit(peer, run, error.message))
    child.on('exit', (code, signal) => this.#onExit(peer, run, signal === null ? `exit code ${String(code)}` : signal))
  }

  /** Kills a process as the system would, and starts it again with its key and its address. */
  #crash(peer: PeerProcess): void {
    const report = this.#reports.get(peer.number)
    if (report !== undefined) this.#crashed.push(report)
    this.#reports.delete(peer.number)
    peer.run++
    peer.seen.clear()
    const { child } = peer
    child.once('exit', () => {
      if (this.#phase !== 'running') {
        peer.exit = 'crashed'
        this.#wake()
        return
      }
      peer.child = this.#spawn(peer.number)
      this.#listen(peer)
    })
    child.kill('SIGKILL')
  }

  /** A restarted process gets by itself the messages that the others got together. */
  #onStartedAgain(peer: PeerProcess, message: PeerMessage): void {
    if (message.type === 'booted') this.#send(peer, this.#startMessage(peer))
    if (message.type === 'ready') this.#send(peer, { type: 'go' })
  }

  #onMessage(peer: PeerProcess, message: PeerMessage): void {
    if (message.type === 'report' || message.type === 'drained' || message.type === 'stopped')
      this.#reports.set(peer.number, message.report)
    if (message.type === 'booted' && this.#options.dialect === 'native') peer.id = message.keyId
    if (message.type === 'failed') this.#deaths.push(`peer ${peer.number} failed: ${message.message}`)
    if (message.type === 'listening') peer.url = message.url
    if (message.type !== 'report') peer.seen.set(message.type, message)
    if (peer.run > 0) this.#onStartedAgain(peer, message)
    this.#wake()
  }

  #onExit(peer: PeerProcess, run: number, how: string): void {
    if (peer.exit !== null || peer.run !== run) return
    peer.exit = how
    if (how !== 'exit code 0' || (this.#phase !== 'stopping' && this.#deaths.length === 0)) {
      this.#deaths.push(
        `the process of peer ${peer.number} ended with ${how} ` +
          (peer.seen.has('stopped') ? 'after its network had stopped' : 'before its work was done'),
      )
    }
    this.#wake()
  }

  /**
   * Until the duration is over, an interrupt, or the end of a peer. Random sockets and processes are killed meanwhile.
   */
  async #breakThingsUntilOver(): Promise<void> {
    const { durationMs, killEveryMs, crashEveryMs } = this.#options
    const every = (periodMs: number, act: (peer: PeerProcess) => void): NodeJS.Timeout | undefined =>
      periodMs === 0
        ? undefined
        : setInterval(() => act(this.#peers[Math.floor(Math.random() * this.#peers.length)] as PeerProcess), periodMs)
    const kills = every(killEveryMs, (peer) => this.#send(peer, { type: 'kill' }))
    const crashes = every(crashEveryMs, (peer) => {
      // One at a time: the others have to be up to start with again.
      if (this.#peers.every(({ seen }) => seen.has('ready'))) this.#crash(peer)
    })
    try {
      await this.#until(
        () => this.#isInterrupted,
        durationMs,
        () => null,
      )
    } finally {
      clearInterval(kills)
      clearInterval(crashes)
    }
  }

  async #stopAll(): Promise<void> {
    this.#sendToAll({ type: 'stop' })
    try {
      await this.#waitFor(() => this.#peersRunning === 0, stopTimeoutMs)
    } finally {
      const stuck = this.#peers.filter(({ exit }) => exit === null)
      for (const { number } of stuck)
        this.#deaths.push(`the process of peer ${number} did not end within ${stopTimeoutMs} ms`)
      this.killAll()
      await this.#waitFor(() => this.#peersRunning === 0, stopTimeoutMs)
    }
  }

  #allSeen(type: PeerMessage['type'], timeoutMs: number): Promise<void> {
    const late = (): PeerProcess[] => this.#peers.filter(({ seen }) => !seen.has(type))
    return this.#until(
      () => late().length === 0,
      timeoutMs,
      () =>
        `no '${type}' within ${timeoutMs} ms of peer ${late()
          .map(({ number }) => number)
          .join(', ')}`,
    )
  }

  /**
   * @throws when a peer is gone, or when the time is over and `late` returns a sentence; an interrupted start ends
   *   early
   */
  async #until(condition: () => boolean, timeoutMs: number, late: () => string | null): Promise<void> {
    const isOver = (): boolean =>
      condition() || this.#deaths.length > 0 || (this.#isInterrupted && this.#phase === 'starting')
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

  #sendToAll(message: ParentMessage): void {
    for (const peer of this.#peers) this.#send(peer, message)
  }

  #send({ child }: PeerProcess, message: ParentMessage): void {
    if (child.connected) child.send(message, () => {})
  }
}
