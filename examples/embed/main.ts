/**
 * statewire inside an application's own XState machine: the machine spawns and invokes the networks and gets their
 * events and errors, and one inspector sees the application and every connection below it.
 *
 * Owns: options, printed text, and the official inspector if requested.
 * Independent of: what the application does (application.ts).
 */
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import { createActor, toPromise, waitFor } from 'xstate'
import type { InspectionEvent } from 'xstate'
import { ActorTree } from './actor-tree.ts'
import { application } from './application.ts'
import type { ApplicationInput } from './application.ts'

const help = `node build/examples/embed/main.js [options]

An application's machine spawns one network and invokes another. They talk, the tree of all actors is printed, and both
shut down.

  --port N            where alice listens (default 0: any free port); use a port that is taken to see the error
  --dialect D         native, by keys over TLS, or ampc, by names on plain TCP (default native)
  --inspect           also send everything to the official inspector, which needs: npm install @statelyai/inspect
  --inspect-url URL   where the inspector's server listens (default ws://localhost:8080)
  --hold              stay connected after the conversation until Ctrl-C, for a viewer that is opened later: all living
                      actors are sent to the inspector again every 2 s
  --help, -h

The inspector has two parts. Its server runs on this machine:
  node -e "import('@statelyai/inspect/server').then((it) => it.createInspectorServer())"
Its page is loaded from https://stately.ai/inspect, so the browser needs the internet.

Exits 0 if the networks talked and nothing is left of them, 1 if not, 2 for wrong options or without an inspector.`

class UsageError extends Error {}

interface Watcher {
  inspect(event: InspectionEvent): void
  /** Sends what is still queued. */
  finish(): Promise<void>
}

/** The Node transport of @statelyai/inspect, an optional peer dependency. */
async function officialInspector(url: string): Promise<Watcher> {
  const module = await import('@statelyai/inspect').catch((error: unknown) => {
    throw new UsageError(
      '--inspect needs the official inspector, which is not installed: npm install @statelyai/inspect',
      { cause: error },
    )
  })
  // The transport retries forever and keeps the process alive, so check first.
  if (!(await isReachable(url))) {
    throw new UsageError(
      `nothing listens at ${url}; start the inspector's own server in another terminal:\n  node -e "import('@statelyai/inspect/server').then((it) => it.createInspectorServer())"`,
    )
  }
  // Its default of 10 levels would cut charts of nested states.
  const inspector = module.createWebSocketInspector({ url, serializationDepthLimit: 40 })
  return {
    inspect: (event) => inspector.inspect.next?.(event),
    finish: async () => {
      // It sends each event one timer tick later.
      await new Promise((resolve) => setTimeout(resolve, 0))
      inspector.stop()
    },
  }
}

function isReachable(url: string): Promise<boolean> {
  if (!URL.canParse(url) || new URL(url).protocol !== 'ws:')
    throw new UsageError(`--inspect-url must be like ws://localhost:8080, got ${url}`)
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) })
    const answer = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.on('connect', () => answer(true)).on('error', () => answer(false))
  })
}

const announceEveryMs = 2000

/** Until Ctrl-C. A viewer that attaches meanwhile missed the creation of the actors, so they are announced again. */
async function hold(tree: ActorTree, official: Watcher | null): Promise<void> {
  console.log(
    `connected${official === null ? '' : '; the actors are sent to the inspector every 2 s'}; Ctrl-C to leave`,
  )
  const announce = (): void => {
    for (const event of tree.announcements()) official?.inspect(event)
  }
  const timer = setInterval(announce, announceEveryMs)
  await Promise.race(['SIGINT', 'SIGTERM'].map((signal) => new Promise((resolve) => process.once(signal, resolve))))
  clearInterval(timer)
}

async function run(input: ApplicationInput, official: Watcher | null, holds: boolean): Promise<boolean> {
  const tree = new ActorTree()
  const app = createActor(application, {
    id: 'application',
    input,
    inspect: (event) => {
      tree.inspect(event)
      official?.inspect(event)
    },
  })
  app.getSnapshot().context.alice.on('network.ready', ({ url }) => console.log(`alice listens on ${url}`))
  app.start()

  const talked = await waitFor(
    app,
    (snapshot) => snapshot.status !== 'active' || snapshot.matches({ connected: 'idle' }),
    { timeout: 30_000 },
  )
  if (talked.status === 'active') {
    console.log(`alice asks bob for 6 times 7; bob answers ${talked.context.answer}\n`)
    console.log(`${tree.lines().join('\n')}\n`)
    if (holds) await hold(tree, official)
    app.send({ type: 'leave' })
  }
  const { answer, error } = await toPromise(app)
  if (error !== null) console.error(`the application failed: ${error}`)
  const { made, alive } = tree.counts
  console.log(`${made} actors were created, ${alive} are left`)
  return answer === 42 && error === null && alive === 0
}

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '0' },
        dialect: { type: 'string', default: 'native' },
        inspect: { type: 'boolean', default: false },
        'inspect-url': { type: 'string', default: 'ws://localhost:8080' },
        hold: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      console.log(help)
      return 0
    }
    if (!/^\d+$/.test(values.port) || Number(values.port) > 65_535)
      throw new UsageError(`--port must be a whole number from 0 to 65535, got ${values.port}`)
    const { dialect } = values
    if (dialect !== 'native' && dialect !== 'ampc')
      throw new UsageError(`--dialect must be native or ampc, got ${dialect}`)
    const official = values.inspect ? await officialInspector(values['inspect-url']) : null
    const isFine = await run({ port: Number(values.port), dialect }, official, values.hold)
    await official?.finish()
    return isFine ? 0 : 1
  } catch (error) {
    console.error(
      error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true
        ? (error as Error).message
        : error,
    )
    return error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true
      ? 2
      : 1
  }
}

process.exitCode = await main()
