/**
 * Owns: the verdict of the swarm on a run, and the table that it draws.
 * Independent of: how a run is made.
 */
import { describe, expect, it } from 'vitest'
import { exitCodes } from '../../examples/swarm/options.ts'
import type { SwarmOptions } from '../../examples/swarm/options.ts'
import type { PeerReport } from '../../examples/swarm/reports.ts'
import { cut, plainLength, styleFor } from '../../examples/swarm/style.ts'
import { summarise } from '../../examples/swarm/summary.ts'
import type { SwarmResult } from '../../examples/swarm/swarm.ts'
import { drawLine, drawTable, RateMeter } from '../../examples/swarm/table.ts'
import type { Scene } from '../../examples/swarm/table.ts'
import { file, pairReport, peerReport, resultOf } from './swarm-bench.ts'

describe('the summary of the swarm', () => {
  const options: SwarmOptions = {
    peers: 2,
    dialect: 'native',
    security: 'tls',
    input: null,
    sessions: 4,
    connections: 2,
    killEveryMs: 0,
    crashEveryMs: 0,
    resumeWithinMs: null,
    durationMs: 1000,
    json: false,
    corrupt: false,
  }

  it('the summary is verified when every round is shown to be right', () => {
    expect(summarise(options, file, resultOf())).toMatchObject({
      verified: true,
      exitCode: 0,
      problems: [],
      digests: { verified: 6, wrong: 0 },
      kills: 2,
      reconnects: 1,
      connectionsLost: 2,
    })
  })

  it('the summary allows unfinished rounds of a process that was killed on purpose, but no wrong digest', () => {
    const crashed = [peerReport(2, pairReport(1))]
    const lost = resultOf({ roundsVerified: 1, linkResets: 2 })
    expect(summarise(options, file, { ...lost, crashed })).toMatchObject({
      verified: true,
      crashes: 1,
      digests: { verified: 7 },
    })
    expect(summarise(options, file, { ...lost, crashed: [] })).toMatchObject({ verified: false })
    expect(summarise(options, file, { ...resultOf({ roundsDelivered: 2, linkResets: 2 }), crashed })).toMatchObject({
      verified: false,
    })
    expect(
      summarise(options, file, { ...lost, crashed: [peerReport(2, pairReport(1, { roundsWrong: 1 }))] }).problems,
    ).toEqual(['peer 2, before it was killed: 1 file arrived with a wrong SHA-256'])
  })

  it('the summary accepts losses explained by a link reset, and counts the link once', () => {
    for (const result of [resultOf({ linkResets: 2, unknown: 3, piecesAskedAgain: 3 }), resultOf({ linkResets: 2 })])
      expect(summarise(options, file, result)).toMatchObject({ verified: true, linkResets: 2 })
    expect(summarise({ ...options, dialect: 'ampc' }, file, resultOf({ piecesAskedAgain: 3 }))).toMatchObject({
      verified: true,
      linkResets: 0,
    })
  })

  it.each<[string, SwarmResult, number]>([
    ['a wrong digest', resultOf({ roundsWrong: 1 }), exitCodes.notVerified],
    ['a file that was not verified', resultOf({ roundsVerified: 2 }), exitCodes.notVerified],
    ['a file that was not confirmed', resultOf({ roundsDelivered: 2 }), exitCodes.notVerified],
    ['a matching digest of another file', resultOf({ lastDigest: 'abc' }), exitCodes.notVerified],
    ['a piece asked for again and no link reset', resultOf({ piecesAskedAgain: 1 }), exitCodes.notVerified],
    ['an unknown outcome and no link reset', resultOf({ unknown: 1 }), exitCodes.notVerified],
    ['a peer without a report', { ...resultOf(), reports: resultOf().reports.slice(1) }, exitCodes.notVerified],
    [
      'a socket left behind',
      { ...resultOf(), left: resultOf().left.map((left) => ({ ...left, handles: 1 })) },
      exitCodes.notVerified,
    ],
    ['an incomplete end', { ...resultOf(), isComplete: false }, exitCodes.notVerified],
    ['no round at all', { ...resultOf(), transferMs: 0 }, exitCodes.notVerified],
    ['a process that died', { ...resultOf(), deaths: ['peer 1 is gone'] }, exitCodes.peerDied],
  ])('the summary is not verified with %s', (_, result, exitCode) => {
    const summary = summarise(options, file, result)
    expect(summary).toMatchObject({ verified: false, exitCode })
    expect(summary.problems).not.toEqual([])
  })
})

function sceneOf(fields: Partial<Scene> = {}): Scene {
  return {
    phase: 'running',
    runningMs: 1200,
    durationMs: 5000,
    killEveryMs: 300,
    crashEveryMs: 2000,
    crashes: 1,
    kills: 2,
    peers: 2,
    reports: resultOf().reports,
    down: new Map(),
    ...fields,
  }
}

describe('the table of the swarm', () => {
  it.each([200, 79])(
    'the table shows neither figures of a process that is gone nor open connections to it (%i columns)',
    (columns) => {
      const scene = sceneOf({ down: new Map([[2, 'crashed']]) })
      const [, , , , first = '', second = ''] = drawTable(scene, new RateMeter(), 1000, columns, styleFor({}))
      expect(first).toMatch(columns === 200 ? /^1 .*2○○/ : /^1 .*0 of 2 open/)
      expect(second).toMatch(/^2 +crashed( +-){6} *$/)
      expect(drawLine(scene, new RateMeter(), 1000)).toContain('peers 1/2  connections 0/0')
    },
  )

  it.each([200, 79, 40])('the table fits into %i columns', (columns) => {
    const scene = sceneOf()
    const lines = drawTable(scene, new RateMeter(), 1000, columns, styleFor({}))
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
    expect(lines.join('\n')).toMatch(columns === 200 ? '2●○' : '1 of 2 open')
  })

  it('the rates of a process that was started again begin at 0', () => {
    const [meter, [report]] = [new RateMeter(), resultOf().reports as [PeerReport]]
    meter.measure({ ...report, valuesReceived: 1000 }, 1000)
    expect(meter.measure({ ...report, valuesReceived: 10 }, 2000).valuesPerSecond).toBe(0)
    expect(meter.measure({ ...report, valuesReceived: 20 }, 3000).valuesPerSecond).toBe(10)
  })

  it('coloured text is cut by its visible width', () => {
    expect(plainLength('\u001B[32mgood\u001B[0m day')).toBe(8)
    expect(cut('\u001B[32mgood\u001B[0m day', 2)).toBe('\u001B[32mgo\u001B[0m')
  })
})
