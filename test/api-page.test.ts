/**
 * Owns: that docs/api.md names every event of a network and every public member of the classes that it describes, and
 * no others.
 * Independent of: what the page says about them.
 */
import { Peer } from '../index.ts'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../codec/errors.ts'
import { networkEventTypes } from '../actors/base/events.ts'
import { requestOutcomes } from '../actors/messaging/request-error.ts'
import { Network } from '../actors/network/network.ts'
import { ControlChannel } from '../actors/session/control-channel.ts'
import { Session } from '../actors/session/session.ts'

const page = readFileSync(new URL('../docs/api.md', import.meta.url), 'utf8')

/** The names in code in the first cell of each row of the table under a heading, without arguments. */
function namesUnder(heading: string): string[] {
  const section = page.split(`\n${heading}\n`)[1]?.split(/^## /m)[0] ?? ''
  return [...section.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([\w.]+)[^`]*`/g)].map(([, name = '']) => name),
  )
}

/** The parts of the facade that Network inherits. */
const networkPeers = Object.getPrototypeOf(Network.prototype) as object
const networkStreams = Object.getPrototypeOf(networkPeers) as object
const networkMessages = Object.getPrototypeOf(networkStreams) as object
const notPublic = new Set(['constructor', 'peersReady', 'removed', 'isRemoved', 'toString', 'toJSON'])

describe('docs/api.md', () => {
  it('docs/api.md lists exactly the events of a network, in the order of networkEventTypes', () => {
    expect(namesUnder('## Events')).toEqual([...networkEventTypes])
  })

  it.each([
    ['Network', [Network.prototype, networkPeers]],
    ['Messages and requests', [networkMessages]],
    ['Streams and channels', [networkStreams]],
    ['Peer', [Peer.prototype]],
    ['Session', [Session.prototype]],
    ['ControlChannel', [ControlChannel.prototype]],
  ])('docs/api.md lists exactly the public methods and properties of the class %s', (name, prototypes) => {
    const members = prototypes.flatMap((prototype) => Object.getOwnPropertyNames(prototype))
    const title = name.includes(' ') ? `## ${name}` : `## \`${name}\``
    expect(namesUnder(title).sort()).toEqual(
      [...members, ...(name === 'Peer' ? ['id'] : [])]
        .filter((member) => (name === 'Session' ? member !== 'constructor' : !notPublic.has(member)))
        .sort(),
    )
  })

  it('docs/api.md lists the outcomes of a request with their codes, and says where no handler can have run', () => {
    const section = page.split('\n## How a request fails\n')[1]?.split(/^## /m)[0] ?? ''
    const rows = [...section.matchAll(/^\| `([\w-]+)` \| (.*) \| (no|yes|perhaps) \| .* \|$/gm)]
    const ran = Object.fromEntries(rows.map(([, outcome, , handlerRan]) => [outcome, handlerRan]))
    expect(ran).toEqual(requestOutcomes)
    const codes = rows.flatMap(([, , cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(([, code]) => code))
    expect(codes.filter((code) => !(code in errorCodes))).toEqual([])
  })

  it.each(['README.md', 'docs/ARCHITECTURE.md'])('%s links to the page of events and methods', (file) => {
    expect(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).toMatch(/\((docs\/)?api\.md\)/)
  })
})
