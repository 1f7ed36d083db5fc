/**
 * Owns: a full mesh of networks in one process, over TLS on loopback.
 * Independent of: what they send.
 */
import { createNetwork, Identity } from '../../../index.ts'
import type { Network } from '../../../index.ts'

/** All come from one address at once; limits for strangers are not what is measured. */
export const meshLimits = { pendingInboundPerAddressMax: 64, connectBurst: 1_000_000, handshakeTimeoutMs: 60_000 }

/** Each dials those before it. Resolves when all are connected to all. */
export async function startMesh(
  size: number,
  identities = Array.from({ length: size }, () => Identity.generate()),
): Promise<Network[]> {
  const networks: Network[] = []
  for (const [index, identity] of identities.entries()) {
    const network = createNetwork({
      identity,
      listen: 'tls://127.0.0.1:0',
      peers: identities.flatMap(({ id }, other) => {
        if (other === index) return []
        return other < index ? [{ id, urls: networks[other]?.url as string }] : [{ id }]
      }),
      limits: meshLimits,
    })
    networks.push(network)
    await network.ready()
  }
  await Promise.all(networks.map((network) => network.ready({ peers: 'all', timeoutMs: 120_000 })))
  return networks
}

export async function stopAll(networks: readonly Network[]): Promise<void> {
  await Promise.all(networks.map((network) => network.shutdown()))
}

/** Which of the numbered messages of each sender have come: each bit once. */
export class Seen {
  readonly #bits = new Map<string, Uint8Array>()
  readonly #count: number
  total = 0
  doubled = 0

  constructor(count: number) {
    this.#count = count
  }

  add(from: string, number: number): void {
    let bits = this.#bits.get(from)
    if (bits === undefined) this.#bits.set(from, (bits = new Uint8Array(this.#count)))
    if (bits[number] !== 0) this.doubled++
    bits[number] = 1
    this.total++
  }
}
