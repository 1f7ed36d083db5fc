/**
 * Owns: how much of Pieces is on the way, as the time until their acknowledgement tells.
 * Independent of: links and lanes.
 */
import { describe, expect, it } from 'vitest'
import { firstInFlightBytes, leastInFlightBytes, PiecesInFlight } from '../../protocol/native/lanes/pieces-in-flight.ts'

const piece = 65_536
const roundTripMs = 300

class Scene {
  nowMs = 0
  shortestMs: number | null = roundTripMs
  measured = 0
  frame = 0
  readonly flight = new PiecesInFlight(() => this.nowMs, {
    shortestMs: () => this.shortestMs,
    measure: () => void (this.measured += 1),
  })

  /** Sends as much as may be sent. @returns how many bytes */
  fill(): number {
    const before = this.frame
    while (this.flight.maySend()) this.flight.sent(++this.frame, piece)
    return (this.frame - before) * piece
  }

  /** Everything on the way is acknowledged after so long. */
  acknowledge(afterMs: number): void {
    this.nowMs += afterMs
    this.flight.acknowledged(this.frame)
  }
}

describe('the bytes of Pieces on the way', () => {
  it('are at most 512 KiB until something was acknowledged', () => {
    expect(new Scene().fill()).toBe(firstInFlightBytes)
  })

  it.each([
    ['twice as many after a round trip without a queue', roundTripMs, 2],
    ['twice as many after an Ack that was 100 ms late', roundTripMs + 100, 2],
    ['as many as before after an Ack that was 101 ms late', roundTripMs + 101, 1],
    ['as many as before after an Ack that was 200 ms late', roundTripMs + 200, 1],
    ['half as many after an Ack that was 201 ms late', roundTripMs + 201, 0.5],
  ])('are %s', (_, afterMs, factor) => {
    const scene = new Scene()
    scene.fill()
    scene.acknowledge(afterMs)
    expect(scene.fill()).toBe(factor * firstInFlightBytes)
  })

  it('are never limited to fewer than two Pieces', () => {
    const scene = new Scene()
    for (let flight = 0; flight < 20; flight += 1) {
      scene.fill()
      scene.acknowledge(10_000)
    }
    expect(scene.flight.limitBytes).toBe(leastInFlightBytes)
    expect(scene.fill()).toBe(leastInFlightBytes)
  })

  it('are not more because of Acks while the limit was never reached', () => {
    const scene = new Scene()
    for (let value = 0; value < 10; value += 1) {
      scene.flight.sent(++scene.frame, piece)
      scene.acknowledge(roundTripMs)
    }
    expect(scene.flight.limitBytes).toBe(firstInFlightBytes)
  })

  it('change once for each flight, however many Acks it takes', () => {
    const scene = new Scene()
    scene.fill()
    scene.nowMs += roundTripMs + 500
    for (let frame = 1; frame <= scene.frame; frame += 1) scene.flight.acknowledged(frame)
    expect(scene.flight.limitBytes).toBe(firstInFlightBytes / 2)
  })

  it('do not become fewer because a connection was away', () => {
    const scene = new Scene()
    scene.fill()
    scene.flight.connectionEnded()
    scene.acknowledge(60_000)
    expect(scene.fill()).toBe(firstInFlightBytes)
  })

  it('are none when the epoch has ended', () => {
    const scene = new Scene()
    scene.fill()
    scene.flight.clear()
    expect(scene.fill()).toBe(firstInFlightBytes)
  })

  it('stay as many while no round trip is known, and one is asked for at the limit', () => {
    const scene = new Scene()
    scene.shortestMs = null
    scene.fill()
    expect(scene.measured).toBe(1)
    scene.acknowledge(0)
    expect(scene.fill()).toBe(firstInFlightBytes)
  })
})
