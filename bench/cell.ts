/**
 * One cell: one subject, one row, one round, in two fresh processes. Owns forking, pinning, the order of the phases and
 * the sum of the figures. Independent of what the workers do, and which cells there are.
 *
 * Fresh processes, because an unlucky allocation history makes reads several times slower for the rest of a process's
 * life. Pinned, because the kernel's choice of core changes a round trip by a factor of three. glibc is told to keep
 * freed memory, unless the user wants its defaults: otherwise a 64 KiB read buffer may page-fault on every read, and
 * bulk rates change by a factor of three.
 */
import { fork, spawnSync, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Latency } from './beside.ts'
import { Mailbox, type WorkerInput } from './messages.ts'
import { rateOf, type Row } from './rows.ts'

/** `server` and `client` are the cores of the two ends; a row of one core uses the server's for both. */
export interface Pinning {
  server: number
  client: number
}

export interface Cell {
  subject: string
  row: string
  round: number
  values: number
  elapsedUs: number
  rate: number
  serverCpuUs: number
  clientCpuUs: number
  /** Both ends added. */
  cpuUsPerValue: number
  /** Of a row beside a flood. */
  latency: Latency | null
}

export type Malloc = 'steady' | 'default'

/** How all cells of a run are made. */
export interface Conditions {
  seconds: number
  warmupSeconds: number
  /** Null: the kernel chooses. */
  pinning: Pinning | null
  malloc: Malloc
  /** Live objects in each process: an empty process is below a threshold of V8's collector, an application is not. */
  heapMib: number
}

const steadyMalloc = { MALLOC_TRIM_THRESHOLD_: '1000000000', MALLOC_MMAP_THRESHOLD_: '1000000000' }

const patienceMs = 20_000
const workerFile = fileURLToPath(new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))

/** What prevents pinning to the given cores on this machine, or null. */
export function pinningProblem(pinning: Pinning): string | null {
  for (const core of [pinning.server, pinning.client]) {
    const tried = spawnSync('taskset', ['-c', String(core), 'true'], { encoding: 'utf8' })
    if (tried.error !== undefined) return 'taskset is not available'
    if (tried.status !== 0) return `core ${core} is not available`
  }
  return null
}

function startWorker(input: WorkerInput, core: number | null, malloc: Malloc): Mailbox {
  const argument = JSON.stringify(input)
  const stdio: ['ignore', 'inherit', 'inherit', 'ipc'] = ['ignore', 'inherit', 'inherit', 'ipc']
  const env = malloc === 'steady' ? { ...process.env, ...steadyMalloc } : process.env
  // taskset replaces itself by node with exec, so the channel and the process id are node's own.
  const child =
    core === null
      ? fork(workerFile, [argument], { stdio, env })
      : fork(workerFile, [argument], {
          stdio,
          env,
          execPath: 'taskset',
          execArgv: ['-c', String(core), process.execPath],
        })
  return new Mailbox(`${input.subject} ${input.row} ${input.role}`, child)
}

/** Asks first and kills after a second. Only ever the child it is given. */
async function stopWorker(worker: Mailbox): Promise<void> {
  const child: ChildProcess = worker.child
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  worker.tell({ type: 'stop' })
  const killer = setTimeout(() => child.kill('SIGKILL'), 1000)
  await ended
  clearTimeout(killer)
}

async function runPhase(
  row: Row,
  server: Mailbox,
  client: Mailbox,
  durationMs: number,
): Promise<Omit<Cell, 'subject' | 'row' | 'round'>> {
  client.tell({ type: 'phase', durationMs })
  const withinMs = durationMs + patienceMs
  const [sent, arrived] = await Promise.all([client.next('sent', withinMs), server.next('arrived', withinMs)])
  client.tell({ type: 'settle' })
  const settled = await client.next('settled', patienceMs)
  const { values } = arrived
  if (values === 0) throw new Error(`${row.name}: no value came`)
  if (sent.echoedValues !== null && sent.echoedValues !== values) {
    throw new Error(`${row.name}: ${values} values came and ${sent.echoedValues} echoes went back`)
  }
  const elapsedUs = (sent.echoedEndUs ?? arrived.endUs) - sent.startUs
  return {
    values,
    elapsedUs,
    rate: rateOf(row, values, elapsedUs),
    serverCpuUs: arrived.cpuUs,
    clientCpuUs: settled.cpuUs,
    cpuUsPerValue: (arrived.cpuUs + settled.cpuUs) / values,
    latency: sent.latency,
  }
}

export async function runCell(subject: string, row: Row, round: number, conditions: Conditions): Promise<Cell> {
  const { seconds, warmupSeconds, pinning, malloc, heapMib } = conditions
  const workers: Mailbox[] = []
  try {
    const server = startWorker(
      { role: 'server', subject, row: row.name, port: 0, heapMib },
      pinning?.server ?? null,
      malloc,
    )
    workers.push(server)
    const { port } = await server.next('listening', patienceMs)
    const clientCore = pinning === null ? null : row.oneCore ? pinning.server : pinning.client
    const client = startWorker({ role: 'client', subject, row: row.name, port, heapMib }, clientCore, malloc)
    workers.push(client)
    await client.next('connected', patienceMs)
    await runPhase(row, server, client, warmupSeconds * 1000)
    const figures = await runPhase(row, server, client, seconds * 1000)
    return { subject, row: row.name, round, ...figures }
  } finally {
    await Promise.all(workers.map(stopWorker))
  }
}
