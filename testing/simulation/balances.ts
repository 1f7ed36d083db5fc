/**
 * Owns: what the two ends of a link must agree on when nothing is under way: lanes, credit, memory.
 * Independent of: how they came to be quiet.
 */
import type { Exchange } from '../../protocol/exchange.ts'
import { creditOf } from '../../protocol/native/lanes/native-link-options.ts'
import type { NativeLink } from '../../protocol/native/link/native-link.ts'
import { LinkExchange } from '../../protocol/native/messages/link-exchange.ts'
import type { StreamLanes } from '../../protocol/native/streams/stream-lanes.ts'
import type { Member } from './member.ts'
import type { Model } from './model.ts'

/** To be called when everything that was sent is acknowledged and read. */
export function checkBalances(model: Model, members: readonly Member[]): void {
  for (const one of members)
    for (const other of members) {
      if (one === other) continue
      const theirs = other.linksTo(one)
      for (const [index, link] of one.linksTo(other).entries()) {
        const far = theirs[index]
        if (far !== undefined) checkLink(model, `link ${index} from ${one.name} to ${other.name}`, link, far)
      }
    }
}

function checkLink(model: Model, name: string, near: NativeLink, far: NativeLink): void {
  const { lanes, credit, memory } = near.figures
  const { lanes: farLanes, credit: farCredit } = far.figures
  if (lanes !== farLanes)
    model.breach('wrong', `${name}: ${lanes} lanes are open at one end and ${farLanes} at the other`)
  else if (credit.sendableBytes !== farCredit.receivableBytes)
    model.breach(
      'wrong',
      `${name}: ${credit.sendableBytes} bytes of credit at the sender are ${farCredit.receivableBytes} at the receiver`,
    )
  checkExchange(model, name, near.exchange, far.exchange)
  checkStreams(model, name, near.streams, far.streams)
  checkWindows(model, name, near)
  if (credit.unreadBytes !== 0)
    model.breach('wrong', `${name}: ${credit.unreadBytes} bytes count as unread, and all is read`)
  if (memory.largeFramesBytes !== 0 || memory.sendQueueBytes !== 0)
    model.breach(
      'wrong',
      `${name}: ${memory.largeFramesBytes} bytes for long frames and ${memory.sendQueueBytes} bytes to be sent are held, ` +
        'and nothing is under way',
    )
}

/** Of the messages, requests and responses lanes, which only link 0 has. */
function checkExchange(model: Model, name: string, near: Exchange | null, far: Exchange | null): void {
  if (!(near instanceof LinkExchange) || !(far instanceof LinkExchange)) return
  for (const [index, lane] of near.lanes.entries()) {
    const { sendableBytes } = creditOf([lane])
    const { receivableBytes, unreadBytes } = creditOf([far.lanes[index]!])
    if (sendableBytes !== receivableBytes || unreadBytes !== 0)
      model.breach(
        'wrong',
        `${name}: lane ${lane.id.toString(16)} has ${sendableBytes} bytes of credit at the sender and ` +
          `${receivableBytes} at the receiver, where ${unreadBytes} bytes count as unread`,
      )
  }
}

/** Streams that stay open to the end are quiet, and all others have ended. */
function checkStreams(model: Model, name: string, near: StreamLanes, far: StreamLanes): void {
  const [open, farOpen] = [near.openedHere + near.openedByPeer, far.openedHere + far.openedByPeer]
  if (near.openedHere !== far.openedByPeer || near.openedByPeer !== far.openedHere)
    model.breach('wrong', `${name}: ${open} streams are open at one end and ${farOpen} at the other`)
  const { sendableBytes } = creditOf(near.lanes)
  const { receivableBytes, unreadBytes } = creditOf(far.lanes)
  if (sendableBytes !== receivableBytes || unreadBytes !== 0)
    model.breach(
      'wrong',
      `${name}: the streams have ${sendableBytes} bytes of credit at the sender and ${receivableBytes} at the receiver, ` +
        `where ${unreadBytes} bytes count as unread`,
    )
}

/** What is reserved for windows belongs to lanes that are open. */
function checkWindows(model: Model, name: string, { figures, exchange, streams }: NativeLink): void {
  const { credit, memory } = figures
  const lanes = [...streams.lanes, ...(exchange === null ? [] : exchange.lanes)]
  const windowBytes = credit.windowBytes + creditOf(lanes).windowBytes
  if (memory.windowsBytes !== windowBytes)
    model.breach(
      'wrong',
      `${name}: ${memory.windowsBytes} bytes are reserved for windows, and lanes that are open have ${windowBytes}`,
    )
}
