/**
 * Owns: selecting the command, the help, and how a failure is shown.
 * Independent of: what a command does, and the process (main.ts).
 */
import { createRequire } from 'node:module'
import { StatewireError } from '../codec/errors.ts'
import { formatValue } from '../codec/format-value.ts'
import { UsageError } from './command.ts'
import type { Output } from './command.ts'
import { commands, sessionCommands } from './control-commands.ts'
import { ctl } from './ctl.ts'
import { keygen } from './keygen.ts'
import { peer } from './peer.ts'
import { tunnel } from './tunnel.ts'
import { tunnelHelp } from './tunnel-help.ts'

const exitCodes = { ok: 0, failure: 1, usage: 2 }

const row = (name: string, says: string): string => `    ${name.padEnd(20)} ${says}`

const commandList = Object.entries(commands)
  .map(([name, { fields, says }]) => row(name, `${says}${fields.length === 0 ? '' : `: ${fields.join(', ')}`}`))
  .join('\n')

const sessionList = Object.entries(sessionCommands)
  .map(([name, says]) => row(name, says))
  .join('\n')

const codes = `Exit codes: 0 done; 1 it failed, and standard error says why; 2 wrong usage; 130 stopped by a second Ctrl-C.
`

export const help = `statewire keygen [--out FILE [--force]]
statewire keygen --id FILE

  Makes an Ed25519 key, the identity of one peer, and prints its id (52 characters).

  --out FILE   write the private key to FILE, readable by its owner only, and print the id;
               the folder of FILE must exist, and FILE must not;
               without --out the key goes to standard output and the id to standard error
  --force      overwrite FILE if it exists; the key in it is lost
  --id FILE    make no key: print the id of the key in FILE
  --help, -h   print this

statewire peer --config FILE [--control SOCKET] [--json] [--verbose]

  Runs one peer until Ctrl-C, SIGTERM or the command shutdown, and prints what happens to it.

  --config FILE     JSON with key (the path of a key file), listen, peers, and options of createNetwork:
                    {"key": "a.pem", "listen": "tls://0.0.0.0:15600", "peers": [{"id": "ID52", "urls": "tls://HOST:PORT"}]}
  --control SOCKET  the control socket, which only its owner may use; FILE with .sock by default
  --json            print events as JSON lines, and nothing else
  --verbose         print every event

statewire ctl COMMAND [name=value ...] --config FILE | --control SOCKET

  Sends a command to a running peer and prints its answer. The socket takes one JSON object a line as well.

${commandList}
${sessionList}

${tunnelHelp}
statewire --version

  Prints the version of the package.

${codes}`

/** Reads the package's own manifest. Works from the sources and from what is built. */
function version(): string {
  return (createRequire(import.meta.url)('statewire/package.json') as { version: string }).version
}

/** @returns the exit code; never throws */
export async function run(args: readonly string[], output: Output): Promise<number> {
  try {
    const [command, ...rest] = args
    if (command === 'tunnel' && (args.includes('--help') || args.includes('-h'))) output.out(`${tunnelHelp}\n${codes}`)
    else if (args.includes('--help') || args.includes('-h')) output.out(help)
    else if (command === '--version' || command === '-v') output.out(`${version()}\n`)
    else if (command === 'keygen') await keygen(rest, output)
    else if (command === 'peer') await peer(rest, output)
    else if (command === 'ctl') await ctl(rest, output)
    else if (command === 'tunnel') await tunnel(rest, output)
    else
      throw new UsageError(
        command === undefined ? 'a command is missing' : `there is no command ${formatValue(command)}`,
      )
    return exitCodes.ok
  } catch (error) {
    if (error instanceof UsageError) {
      output.err(`statewire: ${error.message}\n\n${args[0] === 'tunnel' ? tunnelHelp : help}`)
      return exitCodes.usage
    }
    output.err(
      error instanceof StatewireError
        ? `statewire: ${error.message} (${error.code})\n`
        : `statewire: ${error instanceof Error ? error.message : String(error)}\n`,
    )
    return exitCodes.failure
  }
}
