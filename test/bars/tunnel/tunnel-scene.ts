/**
 * Owns: two peers in processes of their own, joined through a proxy that breaks their connections: every 200 ms, and
 * once for a while (blackout).
 * Independent of: what goes through the tunnels.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Identity } from '../../../index.ts'
import { pause } from '../bar.ts'
import { ChaosProxy } from '../chaos/chaos-proxy.ts'
import type { TunnelEndPlan, TunnelEndReport } from './tunnel-process.ts'

const killEveryMs = 200

export class TunnelScene {
  readonly addresses: Readonly<Record<string, string>>
  /** For `stdio-process.js`: its key, its peer and where that is. */
  readonly stdio: readonly string[]
  readonly #ends: readonly ChildProcess[]
  readonly #proxy: ChaosProxy
  #breaking: Promise<void> | null = null
  #isOver = false
  kills = 0
  blackouts = 0

  private constructor(
    ends: readonly ChildProcess[],
    proxy: ChaosProxy,
    addresses: Readonly<Record<string, string>>,
    stdio: readonly string[],
  ) {
    this.#ends = ends
    this.#proxy = proxy
    this.addresses = addresses
    this.stdio = stdio
  }

  /** @param targets where each name leads, at the exposing side */
  static async start(targets: Readonly<Record<string, string>>): Promise<TunnelScene> {
    const [exposing, opening, piping] = [Identity.generate(), Identity.generate(), Identity.generate()]
    const [far, { url }] = await startEnd({
      pem: exposing.toPem(),
      peers: [{ id: opening.id }, { id: piping.id }],
      expose: Object.entries(targets).map(([name, target]) => ({ name, target })),
      open: [],
    })
    const proxy = await ChaosProxy.listen()
    proxy.target = Number(new URL(url as string).port)
    const urls = proxy.urlOf('tls')
    const [near, { addresses }] = await startEnd({
      pem: opening.toPem(),
      peers: [{ id: exposing.id, urls }],
      expose: [],
      open: Object.keys(targets),
    })
    const stdio = [Buffer.from(piping.toPem()).toString('base64'), exposing.id, urls]
    return new TunnelScene([far, near], proxy, addresses, stdio)
  }

  portOf(name: string): number {
    return Number(this.addresses[name]?.split(':').pop())
  }

  /** From now on, until `calm`. @param blackoutMs how long nothing passes, once, after two seconds */
  breakConnections(blackoutMs: number): void {
    this.#isOver = false
    this.#breaking = this.#break(blackoutMs)
  }

  async #break(blackoutMs: number): Promise<void> {
    const startedAtMs = performance.now()
    let isBlackoutDue = blackoutMs > 0
    while (!this.#isOver) {
      await pause(killEveryMs)
      if (isBlackoutDue && performance.now() - startedAtMs > 2_000) {
        isBlackoutDue = false
        await this.#blackout(blackoutMs)
      }
      for (const through of this.#proxy.live) {
        through.reset()
        this.kills++
      }
    }
  }

  async #blackout(forMs: number): Promise<void> {
    this.blackouts++
    const { target } = this.#proxy
    this.#proxy.target = null
    for (const through of this.#proxy.live) {
      through.swallow('up')
      through.swallow('down')
    }
    await pause(forMs)
    for (const through of this.#proxy.live) through.reset()
    this.#proxy.target = target
  }

  async calm(): Promise<void> {
    this.#isOver = true
    await this.#breaking
    this.#breaking = null
  }

  /** Of the exposing end, and of the opening end. */
  async reports(): Promise<readonly [TunnelEndReport, TunnelEndReport]> {
    const reports: TunnelEndReport[] = []
    for (const end of this.#ends) {
      end.send('report')
      const [report] = (await once(end, 'message')) as [TunnelEndReport]
      reports.push(report)
    }
    return reports as unknown as readonly [TunnelEndReport, TunnelEndReport]
  }

  async stop(): Promise<void> {
    await this.calm()
    const exits = this.#ends.map((end) => once(end, 'exit'))
    for (const end of this.#ends) end.send('stop')
    await Promise.race([Promise.all(exits), pause(10_000)])
    for (const end of this.#ends) end.kill('SIGKILL')
    await this.#proxy.stop()
  }
}

interface Started {
  readonly url: string | null
  readonly addresses: Readonly<Record<string, string>>
}

async function startEnd(plan: TunnelEndPlan): Promise<[ChildProcess, Started]> {
  const child = fork(programPath('tunnel-process'), [JSON.stringify(plan)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [started] = (await once(child, 'message')) as [Started]
  return [child, started]
}

/** These checks are only run compiled. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`${name}.js`, import.meta.url))
}
