/**
 * One end of one cell, in its own process. Owns the process: loads the subject, runs phases as requested, measures its
 * own CPU time, and exits with the harness. Independent of rounds, medians and the other process.
 */
import { BesideDriver, besideServerAccept, BesideSink } from './beside.ts'
import type { FromWorker, ToWorker, WorkerInput } from './messages.ts'
import { rowNamed } from './rows.ts'
import type { End } from './subject.ts'
import { loadSubject } from './subjects/index.ts'
import { Driver, serverAccept, Sink, type Arrived } from './workload.ts'

function tell(message: FromWorker): void {
  process.send?.(message)
}

function fail(error: unknown): void {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  // Waits for the message to leave; otherwise the harness would only see an exit code.
  if (process.send === undefined) process.exit(1)
  process.send({ type: 'failed', message }, undefined, undefined, () => process.exit(1))
}

function cpuUsSince(start: NodeJS.CpuUsage): number {
  const used = process.cpuUsage(start)
  return used.user + used.system
}

async function serve(input: WorkerInput): Promise<void> {
  const subject = await loadSubject(input.subject)
  const row = rowNamed(input.row)
  let cpu = process.cpuUsage()
  const phaseOver = ({ values, endUs }: Arrived): void => {
    tell({ type: 'arrived', values, endUs, cpuUs: cpuUsSince(cpu) })
    cpu = process.cpuUsage()
  }
  const serving = await subject.serve(row, (end) =>
    row.shape === 'beside'
      ? besideServerAccept(new BesideSink(row, phaseOver), end)
      : serverAccept(row, new Sink(row, phaseOver), end),
  )
  tell({ type: 'listening', port: serving.port })
}

async function drive(input: WorkerInput): Promise<void> {
  const subject = await loadSubject(input.subject)
  const row = rowNamed(input.row)
  const driver = row.shape === 'beside' ? new BesideDriver(row) : new Driver(row)
  const end: End = await subject.dial(row, input.port, driver.accept)
  let cpu = process.cpuUsage()

  async function phase(durationMs: number): Promise<void> {
    cpu = process.cpuUsage()
    const { startUs, echoed, latency = null } = await driver.run(end, durationMs)
    tell({ type: 'sent', startUs, echoedValues: echoed?.values ?? null, echoedEndUs: echoed?.endUs ?? null, latency })
  }

  process.on('message', (message: ToWorker) => {
    if (message.type === 'phase') phase(message.durationMs).catch(fail)
    if (message.type === 'settle') tell({ type: 'settled', cpuUs: cpuUsSince(cpu) })
  })
  tell({ type: 'connected' })
}

process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)
process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToWorker) => {
  if (message.type === 'stop') process.exit(0)
})

const input = JSON.parse(process.argv[2] ?? '{}') as WorkerInput
/** 1 KiB each, kept to the end. */
const ballast = Array.from({ length: input.heapMib * 1024 }, (_, index) =>
  Array.from({ length: 120 }, (_, place) => index + place + 0.5),
)
process.once('exit', () => void ballast.length)
;(input.role === 'server' ? serve(input) : drive(input)).catch(fail)
