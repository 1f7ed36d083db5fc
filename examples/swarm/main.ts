/**
 * `npm start`. Owns: the order of the run, the signals, the output and the exit code.
 * Independent of: how peers run (swarm.ts), what a good run is (summary.ts), how it looks (table.ts).
 */
import { readInput } from './input.ts'
import { exitCodes, help, parseOptions, UsageError } from './options.ts'
import { styleFor } from './style.ts'
import { summarise, writeSummary } from './summary.ts'
import { Swarm } from './swarm.ts'
import { formatValue } from './table.ts'

/** A reader that closes its end (`| head`) must not end the run without its shutdown. */
function ignoreClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}

/** npm prints the script's name on stdout before anything else, which no JSON parser accepts. */
function silentHint(isJson: boolean, env: NodeJS.ProcessEnv): string | null {
  const isLoudNpm = env['npm_lifecycle_event'] === 'start' && env['npm_config_loglevel'] !== 'silent'
  return isJson && isLoudNpm && !process.stdout.isTTY
    ? 'npm has printed lines of its own on stdout; for JSON alone: npm start --silent -- --json'
    : null
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv)
  if (options === null) {
    process.stdout.write(`${help}\n`)
    return exitCodes.verified
  }
  const hint = silentHint(options.json, process.env)
  if (hint !== null) process.stderr.write(`${hint}\n`)
  const file = await readInput(options.input)
  const swarm = new Swarm(options, file)
  const progress = options.json ? process.stderr : process.stdout
  let signals = 0
  const onSignal = (): void => {
    if (++signals === 1) {
      swarm.interrupt()
      return
    }
    swarm.killAll()
    display.stop()
    process.exit(exitCodes.interrupted)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  // Whatever ends this process, no peer outlives it.
  process.on('exit', () => swarm.killAll())
  const display = formatValue(progress, () => ({
    ...swarm.view,
    durationMs: options.durationMs,
    killEveryMs: options.killEveryMs,
    crashEveryMs: options.crashEveryMs,
    peers: options.peers,
  }))
  const result = await swarm.run()
  display.stop()
  const summary = summarise(options, file, result)
  if (options.json) process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`)
  if (!options.json || process.stderr.isTTY) progress.write(writeSummary(summary, styleFor(progress)))
  return summary.exitCode
}

ignoreClosedOutput()
try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = exitCodes.badOption
}
