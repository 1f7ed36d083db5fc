/**
 * Owns: the life of the child process under attack (victim.ts), as its attacker sees it; and the honest peer that
 * connects to it meanwhile.
 * Independent of: attacks.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createNetwork, Identity } from '../../../actors/index.ts'
import type { Limits } from '../../../actors/index.ts'
import type { VictimReady, VictimStats } from './victim.ts'

/** Node 20 cannot run TypeScript: from sources, the compiled version of a program is started. */
export function programPath(name: string): string {
  const isCompiled = import.meta.url.endsWith('.js')
  return fileURLToPath(
    new URL(isCompiled ? `${name}.js` : `../../../build/test/bars/security/${name}.js`, import.meta.url),
  )
}

export class VictimProcess {
  readonly url: string
  readonly id: string
  readonly honest: Identity
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, { url, id }: VictimReady, honest: Identity) {
    this.#child = child
    this.url = url
    this.id = id
    this.honest = honest
  }

  static async start(limits: Partial<Limits>): Promise<VictimProcess> {
    const honest = Identity.generate()
    const child = fork(programPath('victim'), [JSON.stringify({ peer: honest.id, limits })], {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const [ready] = (await once(child, 'message')) as [VictimReady]
    return new VictimProcess(child, ready, honest)
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  /** `settled`: after its garbage is collected. */
  async ask(what: 'stats' | 'settled' = 'stats'): Promise<VictimStats> {
    const answer = once(this.#child, 'message')
    this.#child.send({ ask: what })
    return ((await answer) as [VictimStats])[0]
  }

  /**
   * A new process of the honest peer, in effect: a network that dials until it is accepted, and stops.
   * @returns the time until the connection was up, or null if it exceeded the patience
   */
  async connectHonestly(patienceMs: number): Promise<number | null> {
    const network = createNetwork({
      identity: this.honest,
      peers: [{ id: this.id, urls: this.url }],
      limits: { backoffMinMs: 10, backoffMaxMs: 100 },
    })
    const startedMs = performance.now()
    const tookMs = await new Promise<number | null>((resolve) => {
      const timer = setTimeout(() => resolve(null), patienceMs)
      network.on('connection.opened', () => {
        clearTimeout(timer)
        resolve(performance.now() - startedMs)
      })
    })
    await network.shutdown()
    return tookMs
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.send({ ask: 'stop' })
    await exited
  }
}
