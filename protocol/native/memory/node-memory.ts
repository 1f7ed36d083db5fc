/**
 * Owns: how the memory budget of a node is divided among its links. What its links hold is what the node holds.
 * Independent of: frames, lanes, sockets.
 *
 * Receiving has the budget: windows at most half of it, long frames the rest. Sending has as much again, as a share
 * that is set aside for each link and a pool for everything beyond the shares. Neither direction can take the memory of
 * the other: two nodes that send to each other at full budget would otherwise wait for each other.
 *
 * A link can always send within its share, whatever others do. Nothing here is called for each value: a link takes room
 * for sending in quanta and gives it back in the same way. Reasons: docs/decisions/0006-memory-budget.md.
 */
import type { HeldMemory } from '../../link-figures.ts'
import { StatewireError } from '../../../codec/errors.ts'
import { LongFrameMemory } from './long-frame-memory.ts'
import { defaultMemoryBudgetBytes, leastWindowBytes, MemoryBudget } from './memory-budget.ts'

/** Set aside for each link, as far as half of the budget allows: four times what a sender takes at a time. */
const shareBytesMax = 256 * 1024
/** The least of the budget that a link needs; half of it is its share for sending. */
export const leastBudgetPerLinkBytes = 64 * 1024
/** A link takes room for sending in this quantum; where there is little left, in a smaller one. */
export const sendQuantumBytes = 64 * 1024
/** Windows may grow while all windows hold less than this part of their half: the rest is for new lanes. */
const growthOfWindows = 3 / 4
/** Messages, requests and responses: their windows are in the hello. */
const helloLanes = 3
/** Hello windows together take at most this part of the half for windows, however many links there are. */
const helloOfWindows = 1 / 2

export class NodeMemory {
  readonly budgetBytes: number
  #shareBytes: number
  readonly #pool: MemoryBudget
  readonly #windowsBytesMax: number
  #windowsBytes = 0
  readonly longFrames: LongFrameMemory
  readonly #links = new Set<LinkMemory>()
  #linkCount: number

  /** @param links how many there will be: each has a share from the beginning */
  constructor(budgetBytes: number = defaultMemoryBudgetBytes, links = 1) {
    this.budgetBytes = budgetBytes
    this.#linkCount = links
    this.#shareBytes = this.#shareFor(links)
    this.#pool = new MemoryBudget(budgetBytes - links * this.#shareBytes)
    this.#windowsBytesMax = longestMessageBytes(budgetBytes)
    this.longFrames = new LongFrameMemory(budgetBytes - this.#windowsBytesMax, () => {
      for (const link of this.#links) link.onLongFramesWait?.()
    })
  }

  /** What each link can send in, whatever the others hold. */
  get shareBytes(): number {
    return this.#shareBytes
  }

  /**
   * Divides the budget among another number of links. Those that exist keep what they hold; what is beyond a smaller
   * share then counts against the pool.
   * @throws StatewireError ERR_MEMORY_BUDGET if there would be less than 64 KiB of the budget for each link
   */
  setLinks(links: number): void {
    const leastBytes = links * leastBudgetPerLinkBytes
    if (leastBytes > this.budgetBytes) {
      throw new StatewireError(
        'ERR_MEMORY_BUDGET',
        `memoryBudgetBytes is ${this.budgetBytes}; ${links} links need at least ${leastBytes}`,
      )
    }
    this.#linkCount = links
    this.#shareBytes = this.#shareFor(links)
    for (const link of this.#links) link.shareChanged()
    this.#pool.resize(this.budgetBytes - links * this.#shareBytes)
  }

  /** @param onWait called when links begin to wait for room to send; it must not ask for memory */
  watch(onWait: () => void): void {
    this.#pool.onWait = onWait
  }

  /** @param peer whose link it is: long frames are shared out among peers */
  open(peer = ''): LinkMemory {
    const link = new LinkMemory(this.#pool, this, peer)
    this.#links.add(link)
    return link
  }

  /** A link has ended for good and holds nothing any more. */
  forget(link: LinkMemory): void {
    this.#links.delete(link)
  }

  #shareFor(links: number): number {
    return Math.min(shareBytesMax, Math.floor(this.budgetBytes / 2 / Math.max(1, links)))
  }

  get held(): HeldMemory {
    const held = { windowsBytes: 0, largeFramesBytes: 0, sendQueueBytes: 0, replayBytes: 0 }
    for (const link of this.#links) {
      held.windowsBytes += link.held.windowsBytes
      held.largeFramesBytes += link.held.largeFramesBytes
      held.sendQueueBytes += link.held.sendQueueBytes
      held.replayBytes += link.held.replayBytes
    }
    return held
  }

  get usedBytes(): number {
    const { windowsBytes, largeFramesBytes, sendQueueBytes, replayBytes } = this.held
    return windowsBytes + largeFramesBytes + sendQueueBytes + replayBytes
  }

  /** Links that wait for room to send. */
  get waiting(): number {
    return this.#pool.waiting
  }

  /**
   * Windows for so many new lanes: what is wanted, or equal parts of what is left of the half for windows.
   * @returns bytes for each, 0 if that is under 4 KiB: then there is no room for so many lanes
   */
  takeWindows(wantedBytes: number, lanes: number): number {
    const leftBytes = Math.max(0, this.#windowsBytesMax - this.#windowsBytes)
    const bytes = Math.min(wantedBytes, Math.floor(leftBytes / lanes))
    if (bytes < Math.min(wantedBytes, leastWindowBytes)) return 0
    this.#windowsBytes += lanes * bytes
    return bytes
  }

  /** The windows of a hello. Every link has a part set aside for them: there is always room. @returns for each lane */
  takeHelloWindows(wantedBytes: number): number {
    const partBytes = (this.#windowsBytesMax * helloOfWindows) / Math.max(1, this.#linkCount) / helloLanes
    const bytes = Math.min(wantedBytes, Math.max(leastWindowBytes, Math.floor(partBytes)))
    this.#windowsBytes += helloLanes * bytes
    return bytes
  }

  growWindows(bytes: number): boolean {
    if (this.#windowsBytes + bytes > this.#windowsBytesMax * growthOfWindows) return false
    this.#windowsBytes += bytes
    return true
  }

  closeWindows(bytes: number): void {
    this.#windowsBytes -= bytes
  }

  /** Throws ERR_INTERNAL if the node does not count exactly what its links hold. For tests. */
  invariants(): void {
    let pooledBytes = 0
    for (const link of this.#links) pooledBytes += link.pooledBytes
    const { windowsBytes, largeFramesBytes } = this.held
    const counts: [string, number, number][] = [
      ['of the pool', pooledBytes, this.#pool.usedBytes],
      ['of windows', windowsBytes, this.#windowsBytes],
      ['of long frames', largeFramesBytes, this.longFrames.usedBytes],
    ]
    for (const [what, heldBytes, countedBytes] of counts)
      if (heldBytes !== countedBytes)
        throw new StatewireError(
          'ERR_INTERNAL',
          `The links hold ${heldBytes} bytes ${what}; ${countedBytes} are counted.`,
        )
  }
}

/** The longest message that a node with this budget can receive: half of the budget. The other half is for windows. */
export function longestMessageBytes(budgetBytes: number): number {
  return Math.floor(budgetBytes / 2)
}

export class LinkMemory {
  readonly #pool: MemoryBudget
  readonly #node: NodeMemory
  readonly #peer: string
  /** Called when long frames of the node begin to wait for room, and when none waits any more. */
  onLongFramesWait: (() => void) | null = null
  #windowsBytes = 0
  #largeFramesBytes = 0
  #sendQueueBytes = 0
  #replayBytes = 0
  /**
   * What of the last two is beyond the share, and so taken from the pool. In the share, values in flight come first.
   */
  #pooledQueueBytes = 0
  #pooledReplayBytes = 0
  #isClosed = false

  constructor(pool: MemoryBudget, node: NodeMemory, peer: string) {
    this.#pool = pool
    this.#node = node
    this.#peer = peer
  }

  /** The node has another number of links: what this one sends beyond its share is counted again. */
  shareChanged(): void {
    if (!this.#isClosed) this.#settleSend()
  }

  get held(): HeldMemory {
    return {
      windowsBytes: this.#windowsBytes,
      largeFramesBytes: this.#largeFramesBytes,
      sendQueueBytes: this.#sendQueueBytes,
      replayBytes: this.#replayBytes,
    }
  }

  get pooledBytes(): number {
    return this.#pooledQueueBytes + this.#pooledReplayBytes
  }

  /** Others wait: what is not needed now is better given back. */
  get isWanted(): boolean {
    return this.#pool.waiting > 0
  }

  // Receiving.

  /** The first windows of so many lanes, or equal parts of what is left. @returns for each; 0 if there is no room */
  openWindow(wantedBytes: number, lanes = 1): number {
    if (this.#isClosed) return 0
    const bytes = this.#node.takeWindows(wantedBytes, lanes)
    this.#windowsBytes += lanes * bytes
    return bytes
  }

  /** The lanes of windows that are open here are on another link of the node. */
  passWindows(bytes: number, to: LinkMemory): void {
    this.#windowsBytes -= bytes
    to.#windowsBytes += bytes
  }

  /** The windows of the hello, for as long as the link exists. @returns for each of its lanes */
  openHelloWindows(wantedBytes: number): number {
    const bytes = this.#node.takeHelloWindows(wantedBytes)
    this.#windowsBytes += helloLanes * bytes
    return bytes
  }

  growWindow(bytes: number): boolean {
    if (this.#isClosed || !this.#node.growWindows(bytes)) return false
    this.#windowsBytes += bytes
    return true
  }

  closeWindow(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#windowsBytes -= bytes
    this.#node.closeWindows(bytes)
  }

  /** Long frames of the node wait for room. */
  get longFramesWait(): boolean {
    return this.#node.longFrames.waiting > 0
  }

  /** Calls back once there is room for a long frame, at once if there is. The returned function gives up. */
  whenLongFrame(bytes: number, onReserved: () => void): () => boolean {
    return this.#node.longFrames.ask(this.#peer, bytes, () => {
      this.#largeFramesBytes += bytes
      onReserved()
    })
  }

  /** Room for a long frame at once, whether there is any or not. */
  forceLongFrame(bytes: number): void {
    this.#node.longFrames.force(this.#peer, bytes)
    this.#largeFramesBytes += bytes
  }

  releaseLongFrame(bytes: number): void {
    this.#largeFramesBytes -= bytes
    this.#node.longFrames.release(this.#peer, bytes)
  }

  // Sending.

  /** Room for values in flight. */
  reserveReplay(bytes: number): boolean {
    if (!this.#reserveSend(bytes)) return false
    this.#replayBytes += bytes
    this.#settleSend()
    return true
  }

  /** Whether a value that waits may be sent: nothing is overdrawn, and no other link waits. */
  get mayMove(): boolean {
    return !this.#pool.isOverdrawn && this.#pool.waiting === 0
  }

  /** A value that waited is in flight: the sum stays. */
  moveToReplay(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#sendQueueBytes -= bytes
    this.#replayBytes += bytes
    this.#settleSend()
  }

  /** Calls back once there is room, in the order in which links have asked. The returned function gives up. */
  whenReplay(bytes: number, onReserved: () => void): () => boolean {
    // Requested in full, though a part of it may be within the share by then: the excess is given back at once.
    return this.#pool.whenReserved('replay', bytes, () => {
      this.#pooledReplayBytes += bytes
      this.#replayBytes += bytes
      this.#settleSend()
      onReserved()
    })
  }

  /** Frames of the link's own, which are always sent. */
  takeReplay(bytes: number): void {
    if (this.#isClosed) return
    this.#replayBytes += bytes
    this.#settleSend()
  }

  releaseReplay(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#replayBytes -= bytes
    this.#settleSend()
  }

  /** A value is to wait. @param mayOverdraw it waits whether there is room or not */
  queueValue(bytes: number, mayOverdraw: boolean): boolean {
    if (this.#isClosed) return mayOverdraw
    if (!mayOverdraw && !this.#reserveSend(bytes)) return false
    this.#sendQueueBytes += bytes
    this.#settleSend()
    return true
  }

  unqueueValue(bytes: number): void {
    if (this.#isClosed || bytes === 0) return
    this.#sendQueueBytes -= bytes
    this.#settleSend()
  }

  /** The caller counts it, and settles. */
  #reserveSend(bytes: number): boolean {
    if (this.#isClosed) return false
    const moreBytes =
      this.#beyondShare(this.#sendQueueBytes + this.#replayBytes + bytes) -
      this.#pooledQueueBytes -
      this.#pooledReplayBytes
    if (moreBytes > 0) {
      if (!this.#pool.tryReserve('replay', moreBytes)) return false
      this.#pooledReplayBytes += moreBytes
    }
    return true
  }

  #beyondShare(bytes: number): number {
    return Math.max(0, bytes - this.#node.shareBytes)
  }

  #settleSend(): void {
    const replayBytes = this.#beyondShare(this.#replayBytes)
    const queueBytes = this.#beyondShare(this.#sendQueueBytes + this.#replayBytes) - replayBytes
    const [moreReplayBytes, moreQueueBytes] = [
      replayBytes - this.#pooledReplayBytes,
      queueBytes - this.#pooledQueueBytes,
    ]
    this.#pooledReplayBytes = replayBytes
    this.#pooledQueueBytes = queueBytes
    // Taken before anything is given back, because others would get that.
    if (moreReplayBytes > 0) this.#pool.force('replay', moreReplayBytes)
    if (moreQueueBytes > 0) this.#pool.force('sendQueues', moreQueueBytes)
    if (moreReplayBytes < 0) this.#pool.release('replay', -moreReplayBytes)
    if (moreQueueBytes < 0) this.#pool.release('sendQueues', -moreQueueBytes)
  }

  /** The link has ended for good, and no lane of it holds a long frame. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onLongFramesWait = null
    const windowsBytes = this.#windowsBytes
    this.#windowsBytes = this.#sendQueueBytes = this.#replayBytes = 0
    const [pooledQueueBytes, pooledReplayBytes] = [this.#pooledQueueBytes, this.#pooledReplayBytes]
    this.#pooledQueueBytes = this.#pooledReplayBytes = 0
    this.#node.closeWindows(windowsBytes)
    this.#pool.release('sendQueues', pooledQueueBytes)
    this.#pool.release('replay', pooledReplayBytes)
    this.#node.forget(this)
  }
}
