/**
 * Owns: S4: a certificate without its key is refused, a hundred times.
 * Independent of: how TLS is made (test/security/tls13-client.ts).
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { Identity } from '../../../actors/tls/identity.ts'
import { Endpoint } from '../../security/tls-bench.ts'
import { attempt } from '../../security/tls13-client.ts'
import type { Bar, BarContext } from '../bar.ts'

export interface PossessionCounts {
  attempts: number
  refused: number
  /** With the right key the same client gets in; otherwise a refusal would prove nothing. */
  isClientSound: boolean
}

export async function provePossession(attempts: number): Promise<PossessionCounts> {
  const [server, bob] = [Identity.generate(), Identity.generate()]
  const certificates = [new X509Certificate(bob.certificate).raw]
  const keyOf = (identity: Identity) => createPrivateKey(identity.toPem())
  const endpoint = await Endpoint.open({ identity: server, authorize: (id) => id === bob.id })
  const counts: PossessionCounts = { attempts: 0, refused: 0, isClientSound: false }
  try {
    const sound = attempt(
      endpoint.address.port,
      { certificates, signer: keyOf(bob), say: 'it is me' },
      ({ received }) => received === 'welcome',
    )
    const first = await endpoint.outcome(0)
    first.pipe.write([Buffer.from('welcome')])
    counts.isClientSound = (await sound).received === 'welcome' && first.pipe.peerId === bob.id
    for (let i = 1; i <= attempts; i++) {
      const ending = await attempt(endpoint.address.port, {
        certificates,
        signer: keyOf(Identity.generate()),
        say: 'let me in',
      })
      const { outcome, pipe, received } = await endpoint.outcome(i)
      counts.attempts++
      const isRefused =
        outcome !== null &&
        ending.finished &&
        ending.received === '' &&
        received.text === '' &&
        pipe.peerId === undefined
      if (isRefused && outcome?.message.includes('does not hold the key of its certificate') === true) counts.refused++
    }
  } finally {
    await endpoint.close()
  }
  return counts
}

export async function possessionBar({ isQuick }: BarContext): Promise<readonly Bar[]> {
  const { attempts, refused, isClientSound } = await provePossession(isQuick ? 10 : 100)
  return [
    {
      id: 'S4',
      passed: refused === attempts && isClientSound,
      figures: { attempts, refused, client_sound: String(isClientSound) },
      notes: [],
    },
  ]
}
