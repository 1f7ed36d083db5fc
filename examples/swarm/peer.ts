/**
 * Owns: one peer of the swarm: its network, its sessions, a sender and a receiver for each other peer, and its figures.
 * Independent of: the process it runs in, and who calls it when.
 */
import { createNetwork, LinkResetError } from '../../index.ts'
import type { Identity, Network, NetworkConfig } from '../../index.ts'
import { TcpTransport, TlsTransport } from '../../actors/index.ts'
import { Lanes } from './lanes.ts'
import { decodeMessage, encodeMessage, TransferError } from './messages.ts'
import type { Done, Message, Want } from './messages.ts'
import type { ConnectionState, Left, PairReport, PeerReport, StartMessage } from './reports.ts'
import { Sender } from './sender.ts'
import { checkAddress, Receiver } from './transfer.ts'

/** The most problems that a peer reports. */
const problemsMax = 10

const sessionsTimeoutMs = 20_000

/**
 * All peers come from one address here, and sockets are destroyed on purpose: what would be abuse elsewhere is
 * intended.
 */
const loopbackLimits = {
  pendingInboundMax: 256,
  pendingInboundPerAddressMax: 256,
  connectRatePerSecond: 1000,
  connectBurst: 1000,
  backoffMaxMs: 1000,
}

/** Everything about one other peer. */
interface Pair {
  readonly id: string
  readonly number: number
  readonly connections: ConnectionState[]
  opened: number
  lost: number
  readonly lanes: Lanes
  readonly sender: Sender
  readonly receiver: Receiver
  /** The answer being sent on each lane, and the one that waits after it: a newer answer replaces one that waits. */
  readonly answers: { isSending: boolean; next: Want | Done | null }[]
}

export class SwarmPeer {
  readonly #start: StartMessage
  /** A transport of its own, which can list the pipes to break. */
  readonly #transport: TcpTransport | TlsTransport
  readonly #network: Network
  readonly #pairs = new Map<string, Pair>()
  readonly #problems: string[] = []
  #rounds: Promise<unknown> = Promise.resolve()
  #isDraining = false
  #isStopping = false
  #isDrained = false
  #lastError: string | null = null
  readonly #count = { valuesSent: 0, valuesReceived: 0, bytesSent: 0, bytesReceived: 0, kills: 0 }

  /** @param key of the native dialect */
  constructor(start: StartMessage, key: Identity) {
    this.#start = start
    const ids = new Set(start.others.map(({ id }) => id))
    this.#transport =
      start.security === 'tls'
        ? new TlsTransport({ identity: key, authorize: (id) => ids.has(id) })
        : new TcpTransport()
    this.#network = createNetwork(configOf(start, key), { environment: { transport: this.#transport } })
    for (const { id, number } of start.others) this.#pairs.set(id, this.#pair(id, number))
    this.#watchConnections()
  }

  /** @returns where it listens */
  async listen(): Promise<string> {
    await this.#network.ready()
    return this.#network.url as string
  }

  /**
   * All peers of the swarm make them the same way. Native: with each peer separately, so that they can be made again
   * separately.
   */
  async makeSessions(): Promise<void> {
    const pairs = [...this.#pairs.values()]
    if (this.#start.dialect === 'native') {
      await Promise.all(pairs.map(({ lanes }) => lanes.make()))
      return
    }
    // Ampc: lane n of every pair is session n.
    const sessions = await this.#network.makeSessions({ count: this.#start.sessions, timeoutMs: sessionsTimeoutMs })
    for (const { lanes } of pairs) lanes.use(sessions)
  }

  /** Sends round after round to every other peer, each at its own pace. */
  go(): void {
    this.#rounds = Promise.all(
      [...this.#pairs.values()].map(async (pair) => {
        try {
          while (!this.#isDraining) await pair.sender.sendRound()
        } catch (error) {
          // Stopped mid-round: the figures show that the round did not end.
          if (!this.#isStopping) this.#problem(`sending to peer ${pair.number} failed: ${(error as Error).message}`)
        }
      }),
    )
  }

  /** Begins no more rounds. Resolves when those under way have ended. */
  async drain(): Promise<void> {
    this.#isDraining = true
    await this.#rounds
    this.#isDrained = true
  }

  /** All are stopped at once, and another may have stopped first: nothing was in flight any more. */
  #isFarewell(error: Error): boolean {
    return (
      this.#isDrained &&
      error instanceof LinkResetError &&
      error.reason === 'goodbye' &&
      error.outcomes.unknown + error.outcomes.notSent === 0
    )
  }

  /** Destroys a random socket, half of the time with a reset. */
  kill(): void {
    const pipes = [...this.#transport.pipes].filter((pipe) => !pipe.closed)
    const pipe = pipes[Math.floor(Math.random() * pipes.length)]
    if (pipe === undefined) return
    this.#count.kills++
    if (Math.random() < 0.5) pipe.reset()
    else pipe.destroy()
  }

  async stop(): Promise<Left> {
    this.#isStopping = true
    for (const { lanes, sender } of this.#pairs.values()) {
      lanes.stop()
      sender.stop(new TransferError('the swarm stops'))
    }
    await this.#network.shutdown()
    return this.#network.resources
  }

  report(): PeerReport {
    const pairs = [...this.#pairs.values()]
    const sum = (figure: (pair: Pair) => number): number => pairs.reduce((total, pair) => total + figure(pair), 0)
    return {
      number: this.#start.number,
      id: this.#start.id,
      sessions: Math.min(...pairs.map(({ lanes }) => lanes.count)),
      pairs: pairs.map(reportPair),
      ...this.#count,
      piecesSent: sum(({ sender }) => sender.piecesSent),
      duplicates: sum(({ receiver }) => receiver.duplicates),
      questionsRepeated: sum(({ sender }) => sender.questionsRepeated),
      lastError: this.#lastError,
      problems: [...this.#problems],
    }
  }

  #pair(id: string, number: number): Pair {
    const { number: from, run, dialect, sessions: count, file, corrupt, connections } = this.#start
    const lanes = new Lanes({
      peer: id,
      connections,
      makeSessions:
        dialect === 'native' ? (timeoutMs) => this.#network.makeSessions({ count, peers: [id], timeoutMs }) : null,
      hooks: {
        onBytes: (lane, bytes) => this.#onBytes(pair, lane, bytes),
        onLost: (lane) => pair.sender.onLost(lane),
        onFailed: (lane, error) =>
          this.#isStopping ||
          this.#isFarewell(error) ||
          this.#problem(`lane ${lane} of peer ${number}: ${error.message}`),
      },
    })
    const pair: Pair = {
      id,
      number,
      connections: Array.from({ length: connections }, () => 'opening' as const),
      opened: 0,
      lost: 0,
      lanes,
      sender: new Sender({
        from,
        run,
        lanes: count,
        file,
        corrupt,
        send: (lane, bytes) => this.#send(lanes, lane, bytes),
      }),
      receiver: new Receiver(count),
      answers: Array.from({ length: count }, () => ({ isSending: false, next: null })),
    }
    return pair
  }

  #watchConnections(): void {
    this.#network.on('connection.opened', ({ peer, link }) => {
      const pair = this.#setState(peer, link, 'open')
      if (pair !== undefined) pair.opened++
    })
    this.#network.on('connection.lost', ({ peer, link, cause }) => {
      if (this.#isStopping) return
      this.#lastError = this.#named(`${peer}: ${cause.message}`)
      const pair = this.#setState(peer, link, 'lost')
      if (pair !== undefined) pair.lost++
    })
    this.#network.on('connection.failed', ({ peer, link, cause }) => {
      this.#lastError = this.#named(`${peer}: ${cause.message}`)
      this.#setState(peer, link, 'failed')
    })
    this.#network.on('peer.errored', ({ peer, cause }) => this.#problem(`${peer} errored: ${cause.message}`))
    this.#network.on('child.restarted', ({ child, cause }) => this.#problem(`${child} was restarted: ${cause.message}`))
    this.#network.on('handler.failed', ({ peer, cause }) =>
      this.#problem(`a handler for ${peer} failed: ${cause.message}`),
    )
    this.#network.on('sessions.closed', ({ cause }) => {
      // Native: lanes report why they ended, and are made again.
      if (!this.#isStopping && this.#start.dialect === 'ampc') this.#problem(`the sessions ended: ${cause.message}`)
    })
    this.#network.on('network.failed', ({ cause }) => this.#problem(`the network failed: ${cause.message}`))
  }

  /** Links are named link:0, link:1, … for each peer. */
  #setState(peer: string, link: string, state: ConnectionState): Pair | undefined {
    const pair = this.#pairs.get(peer)
    const number = Number(link.split(':').at(-1))
    if (pair !== undefined && number < pair.connections.length) pair.connections[number] = state
    return pair
  }

  async #send(lanes: Lanes, lane: number, bytes: Uint8Array): Promise<void> {
    await lanes.send(lane, bytes)
    this.#count.valuesSent++
    this.#count.bytesSent += bytes.length
  }

  #onBytes(pair: Pair, lane: number, bytes: Uint8Array): void {
    this.#count.valuesReceived++
    this.#count.bytesReceived += bytes.length
    this.#onMessage(pair, lane, decodeMessage(bytes))
  }

  #onMessage(pair: Pair, lane: number, message: Message): void {
    checkAddress(message, pair.number, lane)
    if (message.type === 'piece') pair.receiver.onPiece(message)
    else if (message.type === 'offer') this.#answer(pair, pair.receiver.onOffer(message))
    else pair.sender.onAnswer(message)
  }

  /**
   * Not awaited by the reader: two readers that both wait to send would wait for each other. At most two answers per
   * lane are held.
   */
  #answer(pair: Pair, answer: Want | Done | null): void {
    if (answer === null) return
    const slot = pair.answers[answer.lane] as Pair['answers'][number]
    slot.next = { ...answer, from: this.#start.number }
    if (!slot.isSending) void this.#sendAnswers(pair, slot)
  }

  async #sendAnswers(pair: Pair, slot: Pair['answers'][number]): Promise<void> {
    slot.isSending = true
    try {
      for (let answer = slot.next; answer !== null; answer = slot.next) {
        slot.next = null
        await this.#send(pair.lanes, answer.lane, encodeMessage(answer))
      }
    } catch (error) {
      if (!this.#isStopping) this.#problem(`answering peer ${pair.number} failed: ${(error as Error).message}`)
    } finally {
      slot.isSending = false
    }
  }

  #problem(sentence: string): void {
    this.#lastError = this.#named(sentence)
    if (this.#problems.length < problemsMax) this.#problems.push(this.#lastError)
  }

  /** Keys are hard to read, so numbers of peers replace them. */
  #named(sentence: string): string {
    return [...this.#pairs.values()].reduce((text, { id, number }) => text.replaceAll(id, `peer ${number}`), sentence)
  }
}

function configOf(
  { id, dialect, security, resumeWithinMs, others, connections, listenAt }: StartMessage,
  key: Identity,
): NetworkConfig {
  const common = {
    listen: listenAt ?? `${security === 'tls' ? 'tls' : 'tcp'}://127.0.0.1:0`,
    peers: others.map(({ id, url }) => (url === undefined ? { id } : { id, urls: url })),
    connectionParallelism: connections,
    limits: { ...loopbackLimits, ...(resumeWithinMs === null ? {} : { resumeTimeoutMs: resumeWithinMs }) },
  }
  if (dialect === 'native') return { ...common, identity: key, security }
  return { ...common, identity: id, dialect, security: 'plaintext', onConnectionLost: 'reconnect' }
}

function reportPair({ number, connections, opened, lost, lanes, sender, receiver }: Pair): PairReport {
  return {
    peer: number,
    connections: [...connections],
    connectionsLost: lost,
    reconnects: Math.max(0, opened - connections.length),
    roundsBegun: sender.begun,
    roundsDelivered: sender.delivered,
    roundsVerified: receiver.verified,
    roundsWrong: receiver.wrong,
    lastDigest: receiver.lastDigest === null ? null : Buffer.from(receiver.lastDigest).toString('hex'),
    piecesSentAgain: sender.piecesSentAgain,
    piecesAskedAgain: receiver.askedAgain,
    linkResets: lanes.linkResets,
    unknown: lanes.unknown,
  }
}
