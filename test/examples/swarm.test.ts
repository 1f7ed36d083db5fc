/**
 * The swarm: its transfer without a network, under loss drawn from seeds; its command line; and the built program as a
 * process, with sockets destroyed while it runs (longer: swarm.long.test.ts).
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, TransferError } from '../../examples/swarm/messages.ts'
import type { Message, Offer, Piece } from '../../examples/swarm/messages.ts'
import { exitCodes, parseOptions, UsageError } from '../../examples/swarm/options.ts'
import type { SwarmOptions } from '../../examples/swarm/options.ts'
import type { PairReport, PeerReport } from '../../examples/swarm/reports.ts'
import { Sender } from '../../examples/swarm/sender.ts'
import { cut, plainLength, styleFor } from '../../examples/swarm/style.ts'
import { summarise } from '../../examples/swarm/summary.ts'
import type { SwarmResult } from '../../examples/swarm/swarm.ts'
import { drawLine, drawTable, RateMeter } from '../../examples/swarm/table.ts'
import type { Scene } from '../../examples/swarm/table.ts'
import { checkAddress, digestOf, fileBytesMax, piecesOfLane, Receiver } from '../../examples/swarm/transfer.ts'
import { seededRandom } from '../../testing/index.ts'
import { runProgram } from '../support/run-program.ts'
import type { Finished } from '../support/run-program.ts'

const pieceBytes = 512
const bytes = Buffer.from(Array.from({ length: 10 * pieceBytes + 7 }, (_, index) => (index * 31 + (index >> 8)) % 256))
const file = { name: 'numbers', bytes, sha256: digestOf(bytes) }
const lanes = 3

function offer(lane: number, wave: number, fields: Partial<Offer> = {}): Offer {
  return {
    type: 'offer',
    from: 1,
    lane,
    round: 1,
    wave,
    name: file.name,
    length: bytes.length,
    pieceBytes,
    sha256: file.sha256,
    ...fields,
  }
}

function piece(number: number, fields: Partial<Piece> = {}): Piece {
  return {
    type: 'piece',
    from: 1,
    lane: number % lanes,
    round: 1,
    number,
    bytes: bytes.subarray(number * pieceBytes, (number + 1) * pieceBytes),
    ...fields,
  }
}

describe('messages', () => {
  it.each<Message>([
    offer(2, 3),
    { type: 'piece', from: 1, lane: 2, round: 3, number: 4, bytes: Buffer.from([5, 6]) },
    { type: 'want', from: 1, lane: 2, round: 3, wave: 4, missing: [5, 8] },
    { type: 'done', from: 1, lane: 2, round: 3, wave: 4, ok: true },
  ])('messages $type comes back', (message) => {
    const back = decodeMessage(encodeMessage(message))
    expect({ ...back, ...('sha256' in back ? { sha256: Buffer.from(back.sha256) } : {}) }).toEqual(message)
  })

  it('messages refuses what is none, with its own error', () => {
    const whole = encodeMessage({ type: 'want', from: 1, lane: 2, round: 3, wave: 4, missing: [5] })
    const wrong = [
      Buffer.alloc(0),
      Buffer.from([9]),
      Buffer.from([1, 0, 0]),
      whole.subarray(0, -1),
      Buffer.from([2, 0xc0]),
      Buffer.from([2, 0x90]),
    ]
    for (const each of wrong) expect(() => decodeMessage(each)).toThrow(TransferError)
  })

  it('messages notices a value that came out at the wrong place', () => {
    expect(() => checkAddress(piece(4), 1, 1)).not.toThrow()
    expect(() => checkAddress(piece(4), 2, 1)).toThrow('of peer 2')
    expect(() => checkAddress(piece(4), 1, 2)).toThrow('on lane 2')
  })
})

describe('receiver', () => {
  it('receiver verifies a file whose pieces all came', () => {
    const receiver = new Receiver(lanes)
    expect(receiver.onOffer(offer(0, 0))).toBeNull()
    for (let number = 0; number <= 10; number++) receiver.onPiece(piece(number))
    expect(receiver.onOffer(offer(1, 1))).toEqual({ type: 'done', from: 1, lane: 1, round: 1, wave: 1, ok: true })
    expect(receiver).toMatchObject({ verified: 1, wrong: 0, askedAgain: 0, isWaiting: false })
    expect(receiver.lastDigest).toEqual(file.sha256)
  })

  it('receiver asks again for what its lane lacks, and counts it once for a question that is repeated', () => {
    const receiver = new Receiver(lanes)
    receiver.onOffer(offer(0, 0))
    for (const number of piecesOfLane(0, lanes, 11).filter((each) => each !== 3 && each !== 9))
      receiver.onPiece(piece(number))
    for (let times = 0; times < 2; times++)
      expect(receiver.onOffer(offer(0, 1))).toMatchObject({ type: 'want', missing: [3, 9] })
    expect(receiver.askedAgain).toBe(2)
    receiver.onPiece(piece(9))
    expect(receiver.onOffer(offer(0, 2))).toMatchObject({ type: 'want', missing: [3] })
    expect(receiver.askedAgain).toBe(3)
    receiver.onPiece(piece(3))
    receiver.onPiece(piece(3))
    expect(receiver.onOffer(offer(0, 3))).toMatchObject({ type: 'want', missing: [] })
    expect(receiver).toMatchObject({ duplicates: 1, isWaiting: true })
  })

  it('receiver says so if one bit is wrong, and says it again when asked again', () => {
    const receiver = new Receiver(lanes)
    receiver.onOffer(offer(0, 0))
    for (let number = 0; number <= 10; number++)
      receiver.onPiece(
        number === 4
          ? piece(4, { bytes: Uint8Array.from(piece(4).bytes, (byte, at) => (at === 100 ? byte ^ 1 : byte)) })
          : piece(number),
      )
    for (let times = 0; times < 2; times++)
      expect(receiver.onOffer(offer(0, 1))).toMatchObject({ type: 'done', ok: false })
    expect(receiver).toMatchObject({ verified: 0, wrong: 1 })
  })

  it('receiver does without an announcement that was lost: the pieces are asked for again', () => {
    const receiver = new Receiver(lanes)
    receiver.onPiece(piece(0))
    expect(receiver.onOffer(offer(0, 1))).toMatchObject({ type: 'want', missing: [0, 3, 6, 9] })
  })

  it.each<[string, (receiver: Receiver) => void]>([
    ['a piece beyond the end', (receiver) => receiver.onPiece(piece(10, { number: 11, lane: 2 }))],
    ['a piece on a lane that is not its own', (receiver) => receiver.onPiece(piece(4, { lane: 0 }))],
    ['a piece of the wrong length', (receiver) => receiver.onPiece(piece(4, { bytes: Buffer.alloc(pieceBytes - 1) }))],
    ['one round as two files', (receiver) => receiver.onOffer(offer(0, 1, { sha256: digestOf(Buffer.from('other')) }))],
    ['a round before the last is whole', (receiver) => receiver.onOffer(offer(0, 0, { round: 2 }))],
  ])('receiver refuses %s', (_, act) => {
    const receiver = new Receiver(lanes)
    receiver.onOffer(offer(0, 0))
    expect(() => act(receiver)).toThrow(TransferError)
  })

  it('receiver refuses a file that is too long before it takes memory for it', () => {
    expect(() => new Receiver(lanes).onOffer(offer(0, 0, { length: fileBytesMax + 1 }))).toThrow('are taken')
    expect(() => new Receiver(lanes).onOffer(offer(0, 0, { length: 0 }))).toThrow('are taken')
  })
})

/** A sender and a receiver with a wire between them that loses what `loses` says, in both directions, and keeps the order of a lane. */
function connect(
  loses: () => boolean,
  options: { retryMs?: number; stallMs?: number; corrupt?: boolean } = {},
): { sender: Sender; receiver: Receiver } {
  const receiver = new Receiver(lanes)
  const sender: Sender = new Sender({
    from: 1,
    lanes,
    file,
    pieceBytes,
    retryMs: 2,
    ...options,
    send: async (lane, sent) => {
      await Promise.resolve()
      if (loses()) return
      const message = decodeMessage(sent)
      checkAddress(message, 1, lane)
      if (message.type === 'piece') receiver.onPiece(message)
      else if (message.type === 'offer') {
        const answer = receiver.onOffer(message)
        if (answer !== null && !loses()) setImmediate(() => sender.onAnswer(answer))
      }
    },
  })
  return { sender, receiver }
}

describe('sender', () => {
  it('sender delivers round after round', async () => {
    // No question is repeated, however slow the machine is.
    const { sender, receiver } = connect(() => false, { retryMs: 60_000 })
    for (let round = 0; round < 3; round++) await sender.sendRound()
    expect(sender).toMatchObject({
      begun: 3,
      round: 3,
      delivered: 3,
      piecesSent: 33,
      piecesSentAgain: 0,
      questionsRepeated: 0,
    })
    expect(receiver).toMatchObject({ verified: 3, askedAgain: 0, duplicates: 0 })
  })

  it.concurrent.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'sender delivers whatever is lost, pieces, questions and answers: seed %i',
    async (seed) => {
      const random = seededRandom(seed)
      const { sender, receiver } = connect(() => random.fraction() < 0.4)
      for (let round = 0; round < 4; round++) await sender.sendRound()
      expect(sender.delivered).toBe(4)
      expect(receiver).toMatchObject({ verified: 4, wrong: 0 })
      expect(receiver.askedAgain).toBeGreaterThan(0)
      expect(sender.piecesSentAgain).toBe(receiver.askedAgain)
    },
  )

  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'sender delivers to a receiver that forgets everything in the middle, as after a crash: seed %i',
    async (seed) => {
      const random = seededRandom(seed)
      let receiver = new Receiver(lanes)
      const sender: Sender = new Sender({
        from: 1,
        lanes,
        file,
        pieceBytes,
        retryMs: 2,
        send: async (lane, sent) => {
          await Promise.resolve()
          if (random.fraction() < 0.05) receiver = new Receiver(lanes)
          const message = decodeMessage(sent)
          checkAddress(message, 1, lane)
          if (message.type === 'piece') receiver.onPiece(message)
          else if (message.type === 'offer') {
            const answer = receiver.onOffer(message)
            if (answer !== null) setImmediate(() => sender.onAnswer(answer))
          }
        },
      })
      for (let round = 0; round < 4; round++) await sender.sendRound()
      expect(sender.delivered).toBe(4)
    },
  )

  it('sender numbers its rounds on after a crash, and the receiver takes the first of them in place of the one that it cannot finish', async () => {
    const receiver = new Receiver(lanes)
    receiver.onOffer(offer(0, 0))
    receiver.onPiece(piece(0))
    const again: Sender = new Sender({
      from: 1,
      run: 1,
      lanes,
      file,
      pieceBytes,
      retryMs: 2,
      send: async (_, sent) => {
        await Promise.resolve()
        const message = decodeMessage(sent)
        if (message.type === 'piece') receiver.onPiece(message)
        const answer = message.type === 'offer' ? receiver.onOffer(message) : null
        if (answer !== null) setImmediate(() => again.onAnswer(answer))
      },
    })
    await again.sendRound()
    expect([again.begun, again.delivered, receiver.verified]).toEqual([1, 1, 1])
  })

  it('sender asks at once when the connection breaks, not only when its patience is over', async () => {
    let sent = 0
    const { sender } = connect(() => ++sent === 19, { retryMs: 60_000 })
    const round = sender.sendRound()
    const isLost = setInterval(() => [0, 1, 2].forEach((lane) => sender.onLost(lane)), 5)
    await round
    clearInterval(isLost)
    expect(sender.questionsRepeated).toBeGreaterThan(0)
  })

  it('sender gives up on a receiver that never answers', async () => {
    const { sender } = connect(() => true, { stallMs: 20 })
    await expect(sender.sendRound()).rejects.toThrow('no answer on lane')
  })

  it('sender fails when the digest is wrong', async () => {
    const { sender, receiver } = connect(() => false, { corrupt: true })
    await expect(sender.sendRound()).rejects.toThrow('wrong SHA-256')
    expect(receiver).toMatchObject({ verified: 0, wrong: 1 })
  })

  it('sender can be stopped', async () => {
    const { sender } = connect(() => true)
    const round = sender.sendRound()
    sender.stop(new TransferError('enough'))
    await expect(round).rejects.toThrow('enough')
  })
})

describe('options', () => {
  it('options has defaults', () => {
    expect(parseOptions([])).toEqual({
      peers: 5,
      dialect: 'native',
      security: 'tls',
      input: null,
      sessions: 4,
      connections: 2,
      killEveryMs: 500,
      crashEveryMs: 0,
      resumeWithinMs: null,
      durationMs: 8000,
      json: false,
      corrupt: false,
    })
    expect(parseOptions(['--dialect', 'ampc'])).toMatchObject({ dialect: 'ampc', security: 'plaintext' })
    expect(parseOptions(['--security', 'plaintext', '--resume-within', '1ms'])).toMatchObject({
      dialect: 'native',
      security: 'plaintext',
      resumeWithinMs: 1,
    })
    expect(parseOptions(['--sessions', '1'])).toMatchObject({ sessions: 1, connections: 1 })
    expect(parseOptions(['--kill-every', 'never', '--crash-every', '2s'])).toMatchObject({
      killEveryMs: 0,
      crashEveryMs: 2000,
    })
    for (const flag of ['--help', '-h']) expect(parseOptions([flag, '--peers', '9'])).toBeNull()
  })

  it.each<[string, number]>([
    ['500ms', 500],
    ['2s', 2000],
    ['1.5s', 1500],
    ['1m', 60_000],
  ])('options reads the time %s', (text, expected) => {
    expect(parseOptions(['--kill-every', text])?.killEveryMs).toBe(expected)
  })

  it.each([
    ['--peers', '1'],
    ['--peers', '17'],
    ['--peers', 'two'],
    ['--sessions', '0'],
    ['--sessions', '65'],
    ['--connections', '9'],
    ['--connections', '5'],
    ['--duration', '5'],
    ['--duration', '0s'],
    ['--kill-every', '1ms'],
    ['--kill-every', '0'],
    ['--crash-every', '50ms'],
    ['--dialect=ampc', '--crash-every=2s'],
    ['--input', ''],
    ['--dialect', 'rust'],
    ['--security', 'ssl'],
    ['--dialect=ampc', '--security=tls'],
    ['--dialect=ampc', '--resume-within=1s'],
    ['--resume-within', '0ms'],
    ['--colour', 'red'],
    ['extra'],
  ])('options refuses %s %s in one sentence', (...argv) => {
    expect(() => parseOptions(argv)).toThrow(UsageError)
    expect(() => parseOptions(argv)).toThrow(/^[^\n]+$/)
  })
})

function pairReport(peer: number, fields: Partial<PairReport> = {}): PairReport {
  return {
    peer,
    connections: ['open', 'lost'],
    connectionsLost: 2,
    reconnects: 1,
    roundsBegun: 3,
    roundsDelivered: 3,
    roundsVerified: 3,
    roundsWrong: 0,
    lastDigest: Buffer.from(file.sha256).toString('hex'),
    piecesSentAgain: 0,
    piecesAskedAgain: 0,
    linkResets: 0,
    unknown: 0,
    ...fields,
  }
}

function peerReport(number: number, pair: PairReport): PeerReport {
  return {
    number,
    id: `${number}0j3k5m7`.padEnd(52, '0'),
    sessions: 4,
    pairs: [pair],
    valuesSent: 10,
    valuesReceived: 10,
    bytesSent: 1000,
    bytesReceived: 1000,
    kills: 1,
    piecesSent: 8,
    duplicates: 0,
    questionsRepeated: 0,
    lastError: null,
    problems: [],
  }
}

function resultOf(fields: Partial<PairReport> = {}): SwarmResult {
  const nothing = { actors: 0, deadlines: 0, handles: 0 }
  return {
    reports: [peerReport(1, pairReport(2)), peerReport(2, pairReport(1, fields))],
    crashed: [],
    left: [
      { number: 1, ...nothing },
      { number: 2, ...nothing },
    ],
    deaths: [],
    isInterrupted: false,
    isComplete: true,
    transferMs: 1000,
  }
}

describe('summary', () => {
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

  it('summary is well when everything is shown to be', () => {
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

  it('summary counts rounds less strictly where a process was killed on purpose, and takes nothing wrong from one', () => {
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

  it('summary takes losses that one side has a reset link to show for, and counts the link once', () => {
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
    ['a right digest of something else', resultOf({ lastDigest: 'abc' }), exitCodes.notVerified],
    ['a piece asked for again and no link reset', resultOf({ piecesAskedAgain: 1 }), exitCodes.notVerified],
    ['an unknown outcome and no link reset', resultOf({ unknown: 1 }), exitCodes.notVerified],
    ['a peer that is silent', { ...resultOf(), reports: resultOf().reports.slice(1) }, exitCodes.notVerified],
    [
      'a socket left behind',
      { ...resultOf(), left: resultOf().left.map((left) => ({ ...left, handles: 1 })) },
      exitCodes.notVerified,
    ],
    ['an end that was not reached', { ...resultOf(), isComplete: false }, exitCodes.notVerified],
    ['no round at all', { ...resultOf(), transferMs: 0 }, exitCodes.notVerified],
    ['a process that died', { ...resultOf(), deaths: ['peer 1 is gone'] }, exitCodes.peerDied],
  ])('summary is not with %s', (_, result, exitCode) => {
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

describe('table', () => {
  it.each([200, 79])(
    'table shows no old figures of a process that is gone, nor open connections to it: %i columns',
    (columns) => {
      const scene = sceneOf({ down: new Map([[2, 'crashed']]) })
      const [, , , , first = '', second = ''] = drawTable(scene, new RateMeter(), 1000, columns, styleFor({}))
      expect(first).toMatch(columns === 200 ? /^1 .*2○○/ : /^1 .*0 of 2 open/)
      expect(second).toMatch(/^2 +crashed( +-){6} *$/)
      expect(drawLine(scene, new RateMeter(), 1000)).toContain('peers 1/2  connections 0/0')
    },
  )

  it.each([200, 79, 40])('table fits into %i columns', (columns) => {
    const scene = sceneOf()
    const lines = drawTable(scene, new RateMeter(), 1000, columns, styleFor({}))
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
    expect(lines.join('\n')).toMatch(columns === 200 ? '2●○' : '1 of 2 open')
  })

  it('table measures a process that was started again from 0, and not below', () => {
    const [meter, [report]] = [new RateMeter(), resultOf().reports as [PeerReport]]
    meter.measure({ ...report, valuesReceived: 1000 }, 1000)
    expect(meter.measure({ ...report, valuesReceived: 10 }, 2000).valuesPerSecond).toBe(0)
    expect(meter.measure({ ...report, valuesReceived: 20 }, 3000).valuesPerSecond).toBe(10)
  })

  it('table cuts coloured text by what is seen', () => {
    expect(plainLength('\u001B[32mgood\u001B[0m day')).toBe(8)
    expect(cut('\u001B[32mgood\u001B[0m day', 2)).toBe('\u001B[32mgo\u001B[0m')
  })
})

const program = fileURLToPath(new URL('../../build/examples/swarm/main.js', import.meta.url))

describe('the program', { timeout: 60_000 }, () => {
  const run = (...args: string[]): Promise<Finished> => runProgram('examples/swarm/main.js', args)

  it('the program verifies every file while its sockets are destroyed', async () => {
    const { code, stdout } = await run('--peers', '2', '--duration', '600ms', '--kill-every', '100ms', '--json')
    const summary = JSON.parse(stdout) as ReturnType<typeof summarise>
    expect(summary).toMatchObject({
      verified: true,
      problems: [],
      dialect: 'native',
      security: 'tls',
      digests: { wrong: 0 },
    })
    expect(summary.pieces).toMatchObject({ askedAgain: 0, sentAgain: 0, duplicates: 0 })
    expect(code).toBe(exitCodes.verified)
    expect(summary.digests.verified).toBe(summary.rounds.begun)
    expect(summary.rounds.begun).toBeGreaterThan(0)
    expect(summary.kills).toBeGreaterThan(0)
  })

  it('the program shows in its last frame what held before its own shutdown', async () => {
    const { code, stderr } = await run('--peers', '3', '--duration', '300ms', '--kill-every', 'never', '--json')
    expect(code).toBe(exitCodes.verified)
    const lastFrame = stderr.trim().split('\n').at(-1)
    expect(lastFrame).toMatch(/ s over +peers 3\/3 {2}connections 6\/6 .* reconnects 0 {2}asked again 0$/)
  })

  it.each([
    ['notice', 1],
    ['silent', 0],
  ])('the program prints nothing but JSON on stdout, and says how npm does too: %s', async (loglevel, hints) => {
    const env = { ...process.env, npm_lifecycle_event: 'start', npm_config_loglevel: loglevel }
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [program, '--peers', '2', '--duration', '100ms', '--json'],
      { env },
    )
    expect(JSON.parse(stdout)).toMatchObject({ verified: true })
    expect(stderr.split('npm start --silent -- --json').length - 1).toBe(hints)
  })

  it('the program ends with 1 when a piece was corrupted', async () => {
    const { code: exitCode, stdout } = await run('--peers', '2', '--duration', '100ms', '--corrupt', '--json')
    expect(exitCode).toBe(exitCodes.notVerified)
    expect(JSON.parse(stdout)).toMatchObject({ verified: false, digests: { wrong: 1 } })
  })

  it('the program ends with 2 and one sentence when an option is wrong', async () => {
    expect(await run('--peers', '1')).toEqual({
      code: exitCodes.badOption,
      stdout: '',
      stderr: "--peers must be a whole number from 2 to 16, got '1'\n",
    })
    expect(await run('--input', '/no/such/file')).toMatchObject({ code: exitCodes.badOption, stdout: '' })
  })
})
