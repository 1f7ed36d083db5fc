/**
 * Owns: a few networks of the ampc dialect in virtual time over memory pipes, and strangers that connect to them.
 * Independent of: limits.
 */
import { createNetwork, MemoryTransport } from '../../../../actors/index.ts'
import type { AdmitInfo, Limits, Network, NetworkEvent, Pipe, Session, Transport } from '../../../../actors/index.ts'
import { VirtualClock } from '../../../../testing/index.ts'

export interface LabNetwork {
  readonly id: string
  readonly limits?: Partial<Limits>
  readonly admit?: (info: AdmitInfo) => boolean | Promise<boolean>
  readonly onConnectionLost?: 'fail' | 'reconnect'
  readonly connectionParallelism?: number
}

/** What one stranger's pipe received. */
export interface Stranger {
  readonly pipe: Pipe
  isClosed: boolean
  /** When it was closed, in virtual time. */
  closedAtMs: number
  heardBytes: number
}

export class Lab {
  readonly clock = new VirtualClock()
  readonly transport: MemoryTransport
  readonly networks: Network[] = []
  readonly events: (NetworkEvent & { readonly of: string; readonly atMs: number })[] = []
  /** All random numbers are the greatest possible, so that a wait is as long as its bound. */
  fraction = 1 - Number.EPSILON

  constructor() {
    this.transport = new MemoryTransport(this.clock)
  }

  /** Each knows those before it and dials them: its identity has to be greater. */
  async start(
    { id, limits, admit, onConnectionLost, connectionParallelism }: LabNetwork,
    transport: Transport = this.transport,
  ): Promise<Network> {
    const peers = this.networks.map(({ identity, url }) => ({ id: identity, urls: url ?? 'tcp://127.0.0.1:1' }))
    const later = ['alice', 'bob'].filter((other) => other > id).map((other) => ({ id: other }))
    const network = createNetwork(
      {
        identity: id,
        listen: 'tcp://127.0.0.1:0',
        peers: [...peers, ...later],
        security: 'plaintext',
        onConnectionLost: onConnectionLost ?? 'fail',
        connectionParallelism: connectionParallelism ?? 1,
        ...(limits === undefined ? {} : { limits }),
        ...(admit === undefined ? {} : { admit }),
      },
      {
        environment: {
          clock: this.clock,
          transport,
          random: { fraction: () => this.fraction, bytes: (length) => new Uint8Array(length).fill(7) },
        },
      },
    )
    this.networks.push(network)
    network.ref.on(
      '*',
      (event) => void this.events.push({ ...(event as NetworkEvent), of: id, atMs: this.clock.nowMs() }),
    )
    await this.clock.settle()
    return network
  }

  knock(network: Network): Stranger {
    const { hostname, port } = new URL(network.url as string)
    const pipe = this.transport.dial({ host: hostname, port: Number(port) }, { highWaterMarkBytes: 65_536 })
    const stranger: Stranger = { pipe, isClosed: false, closedAtMs: Infinity, heardBytes: 0 }
    pipe.handle({
      onOpen() {},
      onDrain() {},
      onEnd() {},
      onBytes: (bytes) => (stranger.heardBytes += bytes.length),
      onClose: () => {
        stranger.isClosed = true
        stranger.closedAtMs = this.clock.nowMs()
      },
    })
    pipe.resume()
    return stranger
  }

  /** One session at each network. */
  async session(): Promise<Session[]> {
    const made = await this.clock.run(Promise.all(this.networks.map((network) => network.makeSessions({ count: 1 }))))
    return made.map(([session]) => session as Session)
  }

  first(type: NetworkEvent['type']): (NetworkEvent & { readonly atMs: number }) | undefined {
    return this.events.find((event) => event.type === type)
  }

  async stop(): Promise<void> {
    await this.clock.run(Promise.all(this.networks.map((network) => network.shutdown())))
  }
}

/** The lab is stopped however the test ends. */
export async function inLab<T>(body: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = new Lab()
  try {
    return await body(lab)
  } finally {
    await lab.stop()
  }
}
