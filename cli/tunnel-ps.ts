/**
 * Owns: `statewire tunnel ps` and `tunnel kill`: one look at the tunnels of a running peer, a table that follows them,
 * and ending a connection.
 * Independent of: how a table looks (tunnel-table.ts).
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Output } from './command.ts'
import { ControlClient } from './control-client.ts'
import { connectionLine, connectionTable, screenLines, tunnelTable, withRates } from './tunnel-table.ts'
import type { RatedRow, TunnelFigures } from './tunnel-table.ts'

/** A rate needs two looks. Short enough for a command that one waits for. */
const lookMs = 500
const watchMs = 1_000

export interface PsOptions {
  readonly watch: boolean
  readonly json: boolean
}

/** @throws ControlError */
export async function tunnelPs(control: string, { watch, json }: PsOptions, { out }: Output): Promise<void> {
  const client = await ControlClient.connect(control)
  try {
    if (watch) await (process.stdout.isTTY && !json ? watchTable(client, out) : watchLines(client, json, out))
    else {
      const { figures, rows } = await new Looks(client).next(lookMs)
      if (json) return out(`${JSON.stringify({ tunnels: figures.tunnels, connections: rows }, null, 2)}\n`)
      out(`${[...tunnelTable(figures.tunnels), '', ...connectionTable(rows)].join('\n')}\n`)
    }
  } finally {
    client.close()
  }
}

/** @throws ControlError if there is no such connection */
export async function tunnelKill(
  control: string,
  id: number,
  reason: string | undefined,
  { out }: Output,
): Promise<void> {
  const client = await ControlClient.connect(control)
  try {
    await client.request('tunnel-kill', { connection: id, ...(reason === undefined ? {} : { reason }) })
    out(`connection ${id} was reset at both ends\n`)
  } finally {
    client.close()
  }
}

interface Look {
  readonly figures: TunnelFigures
  readonly rows: readonly RatedRow[]
}

/** Figures of a peer, one after the other, with the rates between them. */
class Looks {
  readonly #client: ControlClient
  #last: { readonly figures: TunnelFigures; readonly atMs: number } | null = null

  constructor(client: ControlClient) {
    this.#client = client
  }

  /** Waits before each look but the very first, with which the rates begin. */
  async next(afterMs: number, signal?: AbortSignal): Promise<Look> {
    const before = this.#last ?? (await this.#look())
    await wait(afterMs, undefined, signal === undefined ? {} : { signal })
    const now = (this.#last = await this.#look())
    return {
      figures: now.figures,
      rows: withRates(before.figures.connections, now.figures.connections, now.atMs - before.atMs),
    }
  }

  async #look(): Promise<{ readonly figures: TunnelFigures; readonly atMs: number }> {
    const figures = (await this.#client.request('tunnels')) as TunnelFigures
    return { figures, atMs: performance.now() }
  }
}

async function follow(client: ControlClient, show: (look: Look) => void): Promise<void> {
  const abort = new AbortController()
  const stop = (): void => abort.abort()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  // The reader of a pipe may end first.
  process.stdout.once('error', stop)
  const looks = new Looks(client)
  try {
    for (let afterMs = lookMs; ; afterMs = watchMs) show(await looks.next(afterMs, abort.signal))
  } catch (error) {
    if (!abort.signal.aborted) throw error
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
  }
}

async function watchLines(client: ControlClient, json: boolean, out: Output['out']): Promise<void> {
  await follow(client, ({ rows }) => {
    const time = new Date().toISOString()
    for (const row of rows)
      out(json ? `${JSON.stringify({ time, ...row })}\n` : `${time.slice(11, 19)}  ${connectionLine(row)}\n`)
  })
}

const escape = '\u001b['

/** On the alternate screen, without the cursor; the old screen comes back. */
async function watchTable(client: ControlClient, out: Output['out']): Promise<void> {
  out(`${escape}?1049h${escape}?25l`)
  try {
    await follow(client, ({ figures, rows }) => {
      const { columns, rows: height } = process.stdout
      const lines = screenLines(figures, rows, { columns, height, time: new Date().toTimeString().slice(0, 8) })
      out(`${escape}H${lines.join('\r\n')}${escape}J`)
    })
  } finally {
    out(`${escape}?25h${escape}?1049l`)
  }
}
