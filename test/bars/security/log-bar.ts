/**
 * Owns: S12: for any text from a peer or an application, no log line and no error contains a raw control character or
 * unbounded text, and key material appears nowhere.
 * Independent of: where the texts come from (log/callers.ts, log/peers.ts).
 */
import { inspect } from 'node:util'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Bar, BarContext } from '../bar.ts'
import { askAsApplication } from './log/callers.ts'
import { forged, Ledger, secretsOf } from './log/ledger.ts'
import { askAsPeer } from './log/peers.ts'

export interface LogCounts {
  readonly texts: number
  readonly controls: number
  readonly long: number
  readonly secrets: number
  readonly notes: readonly string[]
}

/** Everything of an identity, and of a network that has it, that can be printed. */
async function printAll(ledger: Ledger, identity: Identity): Promise<void> {
  ledger.source = 'printing'
  const deep = { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null } as const
  void [identity.certificate, identity.secureContext]
  const network = createNetwork(
    { identity, listen: 'tls://127.0.0.1:0', peers: [{ id: Identity.generate().id }] },
    {
      environment: { log: ledger.log },
      inspect: (event) => ledger.quiet('inspection', inspect(event, { depth: 6, showHidden: true })),
    },
  )
  await network.ready()
  for (const [name, value] of Object.entries({
    identity,
    network,
    snapshot: network.ref.getSnapshot(),
    ref: network.ref,
    config: { identity },
  })) {
    ledger.quiet(`inspect(${name})`, inspect(value, deep))
    ledger.quiet(`String(${name})`, String.prototype.concat.call('', value as unknown as string))
  }
  ledger.line('JSON of an identity', JSON.stringify(identity))
  ledger.line('text of an identity', `${identity.toString()} ${inspect(identity)}`)
  ledger.quiet('JSON of an actor', JSON.stringify(network.ref))
  ledger.quiet('a persisted snapshot', JSON.stringify(network.ref.getPersistedSnapshot()))
  ledger.quiet('a clone', inspect(structuredCloneOf(identity), deep))
  ledger.quiet('its fields', JSON.stringify(Object.entries(identity)) + Object.getOwnPropertyNames(identity).join(' '))
  await network.shutdown()
}

function structuredCloneOf(value: unknown): unknown {
  try {
    return structuredClone(value)
  } catch (error) {
    return error
  }
}

/** XState warns on the console in development mode; that is a log as well. */
function watchConsole(ledger: Ledger): () => void {
  const { warn, error } = console
  console.warn = console.error = (...words: unknown[]) => {
    for (const word of words) ledger.quiet('console', typeof word === 'string' ? word : inspect(word))
  }
  return () => Object.assign(console, { warn, error })
}

export async function tryTexts(): Promise<LogCounts> {
  const ledger = new Ledger()
  const identity = Identity.generate()
  ledger.keep(...secretsOf(identity), 'open-sesame')
  const texts = [
    forged,
    `${forged}${'A'.repeat(1 << 20)}`,
    identity.toPem(),
    `tls://user:open-sesame@127.0.0.1:1/${forged}`,
  ]
  const stop = watchConsole(ledger)
  try {
    await printAll(ledger, identity)
    await askAsApplication(ledger, texts)
    // A peer does not know our keys, so its texts are what can be checked at the beginning of a line.
    await askAsPeer(ledger, texts.slice(0, 2))
  } finally {
    stop()
  }
  const { controls, long, secrets, notes } = ledger
  return { texts: ledger.texts, controls, long, secrets, notes }
}

export async function logBar(_context: BarContext): Promise<readonly Bar[]> {
  const { texts, controls, long, secrets, notes } = await tryTexts()
  return [
    {
      id: 'S12',
      passed: texts > 100 && controls + long + secrets === 0,
      figures: { texts, raw_control_characters: controls, endless_texts: long, key_material: secrets },
      notes,
    },
  ]
}
