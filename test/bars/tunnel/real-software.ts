/**
 * Owns: running the programs of others: whether they are there, their output, how they ended.
 * Independent of: what is checked with them.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import net from 'node:net'

export interface Run {
  readonly code: number | null
  readonly output: string
}

/** @returns the exit code, and standard output and error in the order in which they came */
export async function run(command: string, args: readonly string[], timeoutMs = 300_000): Promise<Run> {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

export function isThere(program: string): boolean {
  return program.startsWith('/') ? existsSync(program) : spawnSync('which', [program]).status === 0
}

/** A program that runs until it is stopped. */
export interface Service {
  stop(): Promise<void>
}

/** Resolves when the port answers. */
export async function serve(
  command: string,
  args: readonly string[],
  port: number,
  options: { readonly uid?: number; readonly gid?: number; readonly cwd?: string } = {},
): Promise<Service> {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-10_000)))
  const exited = once(child, 'exit')
  const untilMs = performance.now() + 30_000
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > untilMs)
      throw new Error(`${command} did not start: ${output.slice(-1000)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
