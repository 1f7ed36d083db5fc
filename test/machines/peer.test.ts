/**
 * Owns: the table of machines/peer.ts: where the failures of a peer's actors stop.
 * Independent of: what the actions do (actors/network/peer.ts).
 */
import { describe } from 'vitest'
import { peerMachine } from '../../machines/index.ts'
import { chartContract, childEvents, named } from './chart-contract.ts'

const table = `
# a peer: begins idle
idle
  link.open                          -> active                         openLink
  link.release                       -> stays                          releaseLink
  link.break                         -> stays                          breakLink
  link.ready                         -> stays                          relay
  link.up                            -> stays                          relay
  link.down                          -> stays                          relay
  link.failed                        -> stays                          relay
  peer.close                         -> closing                        closeLinks
  reconnector.restarted              -> stays                          wakeLinks
  link.retry                         -> stays                          wakeLinks
  link.resume                        -> stays                          wakeLinks
  link.pause                         -> stays                          pauseLinks
  streams.start                      -> stays                          startStreams
  child.done                         -> stays                          forgetLink
  child.failed                       -> stays                          recordEscalation
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> errored                        recordEscalation notifyErrored
active
  link.open                          -> stays                          openLink
  link.release                       -> stays                          releaseLink
  link.break                         -> stays                          breakLink
  link.ready                         -> stays                          relay
  link.up                            -> stays                          relay
  link.down                          -> stays                          relay
  link.failed                        -> stays                          relay
  peer.close                         -> closing                        closeLinks
  reconnector.restarted              -> stays                          wakeLinks
  link.retry                         -> stays                          wakeLinks
  link.resume                        -> stays                          wakeLinks
  link.pause                         -> stays                          pauseLinks
  streams.start                      -> stays                          startStreams
  child.done                         -> stays                          forgetLink
  child.failed                       -> stays                          recordEscalation
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> errored                        recordEscalation notifyErrored
closing
  link.open                          -> stays                          refuseLink
  link.release                       -> stays                          releaseLink
  link.break                         -> stays                          breakLink
  link.ready                         -> stays                          relay
  link.up                            -> stays                          relay
  link.down                          -> stays                          relay
  link.failed                        -> stays                          relay
  peer.empty                         -> closed
  reconnector.restarted              -> stays                          wakeLinks
  link.retry                         -> stays                          wakeLinks
  link.resume                        -> stays                          wakeLinks
  link.pause                         -> stays                          pauseLinks
  child.done                         -> stays                          forgetLink
  child.failed                       -> stays                          forgetLink
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          forgetLink
  deadline.passed                    -> closed
errored
  link.open                          -> stays                          openLink
  link.release                       -> stays                          releaseLink
  link.break                         -> stays                          breakLink
  link.ready                         -> stays                          relay
  link.up                            -> stays                          relay
  link.down                          -> stays                          relay
  link.failed                        -> stays                          relay
  peer.close                         -> closing                        closeLinks
  reconnector.restarted              -> stays                          wakeLinks
  link.retry                         -> stays                          wakeLinks
  link.resume                        -> stays                          wakeLinks
  link.pause                         -> stays                          pauseLinks
  streams.start                      -> stays                          startStreams
  child.done                         -> stays                          forgetLink
  child.failed                       -> stays                          recordEscalation
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          recordEscalation
  deadline.passed                    -> active                         reopenLinks
closed, final
`

describe('the peer chart', () => {
  chartContract(peerMachine, {
    lives: {
      'a peer': {},
    },
    events: [
      ...named(
        'link.open',
        'link.release',
        'link.break',
        'link.ready',
        'link.up',
        'link.down',
        'link.failed',
        'peer.empty',
        'peer.close',
        'reconnector.restarted',
        'link.retry',
        'link.resume',
        'link.pause',
        'streams.start',
      ),
      ...childEvents,
      ...named('deadline.passed'),
    ],
    finals: ['closed'],
    ignored: [],
    table,
  })
})
