/**
 * Owns: the verdict on a run, for people and as JSON.
 * Independent of: how the run was made. Whatever is not shown to be right is a problem.
 */
import { exitCodes } from './options.ts'
import type { Dialect, Security, SwarmOptions } from './options.ts'
import type { PairReport, PeerReport } from './reports.ts'
import type { SwarmResult } from './swarm.ts'
import type { Style } from './style.ts'
import type { SwarmFile } from './transfer.ts'

export interface Summary {
  readonly verified: boolean
  readonly exitCode: number
  readonly interrupted: boolean
  readonly dialect: Dialect
  readonly security: Security
  readonly peers: number
  readonly sessions: number
  readonly connections: number
  readonly input: { readonly name: string; readonly bytes: number; readonly sha256: string }
  /** A round is the whole file from one peer to another. */
  readonly rounds: { readonly begun: number; readonly delivered: number }
  readonly digests: { readonly verified: number; readonly wrong: number }
  readonly seconds: number
  /** Over all peers; a value is counted where it arrives, a byte without frame headers. */
  readonly values: number
  readonly bytes: number
  readonly valuesPerSecond: number
  readonly mebibytesPerSecond: number
  /** Sockets destroyed on purpose. One that was still shaking hands does not count as a lost connection. */
  readonly kills: number
  /** Processes killed on purpose and started again. */
  readonly crashes: number
  /** Counted once each, at the side that dials: the peer with the greater number. */
  readonly connectionsLost: number
  readonly reconnects: number
  /** Native: links that could not be resumed, once each, and sent values of unknown outcome. */
  readonly linkResets: number
  readonly unknown: number
  readonly pieces: {
    readonly sent: number
    readonly askedAgain: number
    readonly sentAgain: number
    readonly duplicates: number
    readonly questionsRepeated: number
  }
  readonly problems: readonly string[]
}

export function summarise(options: SwarmOptions, file: SwarmFile, result: SwarmResult): Summary {
  const { reports, crashed, deaths } = result
  const sha256 = Buffer.from(file.sha256).toString('hex')
  const problems = [...deaths, ...findProblems(options, sha256, result)]
  const sum = (figure: (report: PeerReport) => number): number =>
    [...reports, ...crashed].reduce((total, report) => total + figure(report), 0)
  const sumPairs = (figure: (pair: PairReport) => number): number =>
    sum(({ pairs }) => pairs.reduce((total, pair) => total + figure(pair), 0))
  const sumDialled = (figure: (pair: PairReport) => number): number =>
    sum(({ number, pairs }) => pairs.reduce((total, pair) => total + (pair.peer < number ? figure(pair) : 0), 0))
  const seconds = result.transferMs / 1000
  const values = sum((report) => report.valuesReceived)
  const bytes = sum((report) => report.bytesReceived)
  const verified = problems.length === 0
  return {
    verified,
    exitCode: deaths.length > 0 ? exitCodes.peerDied : verified ? exitCodes.verified : exitCodes.notVerified,
    interrupted: result.isInterrupted,
    dialect: options.dialect,
    security: options.security,
    peers: options.peers,
    sessions: options.sessions,
    connections: options.connections,
    input: { name: file.name, bytes: file.bytes.length, sha256 },
    rounds: { begun: sumPairs((pair) => pair.roundsBegun), delivered: sumPairs((pair) => pair.roundsDelivered) },
    digests: { verified: sumPairs((pair) => pair.roundsVerified), wrong: sumPairs((pair) => pair.roundsWrong) },
    seconds: round(seconds),
    values,
    bytes,
    valuesPerSecond: seconds === 0 ? 0 : Math.round(values / seconds),
    mebibytesPerSecond: seconds === 0 ? 0 : round(bytes / seconds / 1024 / 1024),
    kills: sum((report) => report.kills),
    crashes: crashed.length,
    connectionsLost: sumDialled((pair) => pair.connectionsLost),
    reconnects: sumDialled((pair) => pair.reconnects),
    linkResets: reports.reduce(
      (total, report) =>
        total +
        reports.reduce(
          (resets, other) => resets + (other.number < report.number ? linkResetsBetween(report, other) : 0),
          0,
        ),
      0,
    ),
    unknown: sumPairs((pair) => pair.unknown),
    pieces: {
      sent: sum((report) => report.piecesSent),
      askedAgain: sumPairs((pair) => pair.piecesAskedAgain),
      sentAgain: sumPairs((pair) => pair.piecesSentAgain),
      duplicates: sum((report) => report.duplicates),
      questionsRepeated: sum((report) => report.questionsRepeated),
    },
    problems,
  }
}

/** Everything that a verified run must show, for every ordered pair of peers and for every peer at its end. */
function findProblems(
  options: SwarmOptions,
  sha256: string,
  { reports, crashed, left, isComplete, isInterrupted, transferMs }: SwarmResult,
): string[] {
  const problems: string[] = []
  if (transferMs === 0) return [`the transfer was ${isInterrupted ? 'interrupted' : 'over'} before the first round`]
  if (!isComplete) problems.push('the transfer did not finish')
  for (const report of crashed) problems.push(...findProblemsBeforeCrash(report))
  const crashedPeers = new Set(crashed.map(({ number }) => number))
  const byNumber = new Map(reports.map((report) => [report.number, report]))
  for (let from = 1; from <= options.peers; from++) {
    const report = byNumber.get(from)
    if (report === undefined) {
      problems.push(`peer ${from} sent no report`)
      continue
    }
    problems.push(...report.problems.map((problem) => `peer ${from}: ${problem}`))
    for (let to = 1; to <= options.peers; to++) {
      if (to !== from)
        problems.push(
          ...findPairProblems({
            from: report,
            to: byNumber.get(to),
            toNumber: to,
            sha256,
            isExact: !crashedPeers.has(from) && !crashedPeers.has(to),
          }),
          ...(options.dialect === 'native' ? findBrokenPromises(report, byNumber.get(to)) : []),
        )
    }
    const rest = left.find(({ number }) => number === from)
    if (rest === undefined) problems.push(`peer ${from} did not shut its network down`)
    else if (rest.actors + rest.deadlines + rest.handles > 0)
      problems.push(
        `peer ${from} did not release ${rest.actors} actors, ${rest.deadlines} deadlines and ${rest.handles} sockets`,
      )
  }
  return problems
}

/** A process that was killed mid-round has unfinished rounds, but nothing that it received was wrong. */
function findProblemsBeforeCrash({ number, pairs, problems }: PeerReport): string[] {
  const wrong = pairs.reduce((total, { roundsWrong }) => total + roundsWrong, 0)
  return [...problems, ...(wrong === 0 ? [] : [`${counted(wrong, 'file')} arrived with a wrong SHA-256`])].map(
    (problem) => `peer ${number}, before it was killed: ${problem}`,
  )
}

interface Way {
  readonly from: PeerReport
  readonly to: PeerReport | undefined
  readonly toNumber: number
  readonly sha256: string
  /**
   * Neither process was killed, so both have counted the same rounds. Otherwise the receiver's confirmations must do.
   */
  readonly isExact: boolean
}

function findPairProblems({ from, to, toNumber, sha256, isExact }: Way): string[] {
  const way = `peer ${from.number} to peer ${toNumber}`
  const sent = from.pairs.find(({ peer }) => peer === toNumber)
  const received = to?.pairs.find(({ peer }) => peer === from.number)
  if (sent === undefined || received === undefined) return [`${way}: nothing was reported`]
  const problems: string[] = []
  if (sent.roundsBegun === 0) problems.push(`${way}: nothing was sent`)
  if (received.roundsWrong > 0)
    problems.push(`${way}: ${counted(received.roundsWrong, 'file')} arrived with a wrong SHA-256`)
  if (sent.roundsDelivered !== sent.roundsBegun || (isExact && received.roundsVerified !== sent.roundsBegun)) {
    problems.push(
      `${way}: ${counted(sent.roundsBegun, 'file')} sent, ` +
        `${received.roundsVerified} verified, ${sent.roundsDelivered} confirmed`,
    )
  }
  // The receiver has compared with the sender's offer; this compares with the input itself.
  if (received.roundsVerified > 0 && received.lastDigest !== sha256)
    problems.push(`${way}: the received file is not the input`)
  return problems
}

/**
 * A side that learns of a reset from the other, and has closed its lanes before it sees it itself, has not counted it.
 */
function linkResetsBetween(one: PeerReport, other: PeerReport): number {
  const seenBy = (report: PeerReport, peer: number): number =>
    report.pairs.find((pair) => pair.peer === peer)?.linkResets ?? 0
  return Math.max(seenBy(one, other.number), seenBy(other, one.number))
}

/** A link delivers what it carries unless it is reset: then nothing is unknown, and nothing is asked for again. */
function findBrokenPromises(from: PeerReport, to: PeerReport | undefined): string[] {
  if (to === undefined || linkResetsBetween(from, to) > 0) return []
  const way = `peer ${from.number} to peer ${to.number}`
  const unknown = from.pairs.find(({ peer }) => peer === to.number)?.unknown ?? 0
  const askedAgain = to.pairs.find(({ peer }) => peer === from.number)?.piecesAskedAgain ?? 0
  const problems: string[] = []
  if (unknown > 0) problems.push(`${way}: ${counted(unknown, 'value')} of unknown outcome, and no link was reset`)
  if (askedAgain > 0) problems.push(`${way}: ${counted(askedAgain, 'piece')} did not arrive, and no link was reset`)
  return problems
}

/** The first problems are the causes. */
const problemsShown = 10

export function writeSummary(summary: Summary, style: Style): string {
  const { rounds, digests, pieces, input } = summary
  const number = (value: number): string => value.toLocaleString('en-US')
  const row = (name: string, text: string): string => `  ${style.dim(name.padEnd(13))}${text}`
  const lines = [
    '',
    summary.verified
      ? style.good('verified: everything arrived, and every SHA-256 was right')
      : style.bad('NOT verified'),
    row(
      'swarm',
      [
        `${summary.peers} peers, each a process`,
        `${summary.dialect} over ${summary.security === 'tls' ? 'mutual TLS' : 'plain TCP'}`,
        `${counted(summary.sessions, 'session')} over ${counted(summary.connections, 'connection')} between every two`,
      ].join('; '),
    ),
    row('input', `${input.name}, ${number(input.bytes)} bytes, SHA-256 ${input.sha256.slice(0, 16)}…`),
    row('files', `${number(rounds.begun)} sent, ${number(rounds.delivered)} delivered`),
    row('digests', `${number(digests.verified)} verified, ${number(digests.wrong)} wrong`),
    row(
      'moved',
      `${number(round(summary.bytes / 1024 / 1024))} MiB in ${number(summary.values)} values, ${summary.seconds} s: ` +
        `${number(summary.mebibytesPerSecond)} MiB/s, ${number(summary.valuesPerSecond)} values/s`,
    ),
    row(
      'broken',
      `${counted(summary.kills, 'socket')} destroyed, ${counted(summary.reconnects, 'connection')} made again` +
        (summary.crashes === 0 ? '' : `, ${counted(summary.crashes, 'process', 'es')} killed and started again`),
    ),
    row('pieces', `${number(pieces.sent)} sent, ${number(pieces.askedAgain)} asked again after a break`),
    ...(summary.dialect === 'native'
      ? [
          row(
            'promised',
            `${counted(summary.linkResets, 'link')} reset, ${counted(summary.unknown, 'value')} of unknown outcome`,
          ),
        ]
      : []),
  ]
  if (summary.interrupted && summary.verified) lines.push(row('interrupted', 'the rounds under way were finished'))
  for (const problem of summary.problems.slice(0, problemsShown))
    lines.push(`  ${style.bad('problem')}      ${problem}`)
  if (summary.problems.length > problemsShown)
    lines.push(`  ${style.dim(`and ${summary.problems.length - problemsShown} more; --json has them all`)}`)
  if (summary.verified && summary.crashes === 0 && !summary.interrupted && summary.dialect === 'native')
    lines.push('', style.dim('  Kill whole processes: npm start -- --crash-every 2s'))
  return `${lines.join('\n')}\n`
}

function counted(count: number, noun: string, plural = 's'): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : plural}`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
