/**
 * Owns: the transfer of the swarm without a network: messages, receiver and sender, under losses drawn from seeds.
 * Independent of: sessions and processes.
 */
import { describe, expect, it } from 'vitest'
import { decodeMessage, encodeMessage, TransferError } from '../../examples/swarm/messages.ts'
import type { Message } from '../../examples/swarm/messages.ts'
import { Sender } from '../../examples/swarm/sender.ts'
import { checkAddress, digestOf, fileBytesMax, piecesOfLane, Receiver } from '../../examples/swarm/transfer.ts'
import { seededRandom } from '../../testing/index.ts'
import { file, lanes, offer, piece, pieceBytes } from './swarm-bench.ts'

describe('messages of the swarm', () => {
  it.each<Message>([
    offer(2, 3),
    { type: 'piece', from: 1, lane: 2, round: 3, number: 4, bytes: Buffer.from([5, 6]) },
    { type: 'want', from: 1, lane: 2, round: 3, wave: 4, missing: [5, 8] },
    { type: 'done', from: 1, lane: 2, round: 3, wave: 4, ok: true },
  ])('a message of type $type decodes to what was encoded', (message) => {
    const back = decodeMessage(encodeMessage(message))
    expect({ ...back, ...('sha256' in back ? { sha256: Buffer.from(back.sha256) } : {}) }).toEqual(message)
  })

  it('decoding bytes that are not a message throws a TransferError', () => {
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

  it('a message from the wrong peer or on the wrong lane is refused', () => {
    expect(() => checkAddress(piece(4), 1, 1)).not.toThrow()
    expect(() => checkAddress(piece(4), 2, 1)).toThrow('of peer 2')
    expect(() => checkAddress(piece(4), 1, 2)).toThrow('on lane 2')
  })
})

describe('the receiver of the swarm', () => {
  it('the receiver verifies a file when all its pieces have arrived', () => {
    const receiver = new Receiver(lanes)
    expect(receiver.onOffer(offer(0, 0))).toBeNull()
    for (let number = 0; number <= 10; number++) receiver.onPiece(piece(number))
    expect(receiver.onOffer(offer(1, 1))).toEqual({ type: 'done', from: 1, lane: 1, round: 1, wave: 1, ok: true })
    expect(receiver).toMatchObject({ verified: 1, wrong: 0, askedAgain: 0, isWaiting: false })
    expect(receiver.lastDigest).toEqual(file.sha256)
  })

  it('the receiver asks again for the missing pieces of a lane and counts them once for a repeated question', () => {
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

  it('the receiver reports a wrong bit, and reports it again when asked again', () => {
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

  it('the receiver asks for the pieces again when the announcement of a round was lost', () => {
    const receiver = new Receiver(lanes)
    receiver.onPiece(piece(0))
    expect(receiver.onOffer(offer(0, 1))).toMatchObject({ type: 'want', missing: [0, 3, 6, 9] })
  })

  it.each<[string, (receiver: Receiver) => void]>([
    ['a piece beyond the end', (receiver) => receiver.onPiece(piece(10, { number: 11, lane: 2 }))],
    ['a piece on the wrong lane', (receiver) => receiver.onPiece(piece(4, { lane: 0 }))],
    ['a piece of the wrong length', (receiver) => receiver.onPiece(piece(4, { bytes: Buffer.alloc(pieceBytes - 1) }))],
    [
      'a second file in the same round',
      (receiver) => receiver.onOffer(offer(0, 1, { sha256: digestOf(Buffer.from('other')) })),
    ],
    ['a new round before the last one is complete', (receiver) => receiver.onOffer(offer(0, 0, { round: 2 }))],
  ])('the receiver refuses %s', (_, act) => {
    const receiver = new Receiver(lanes)
    receiver.onOffer(offer(0, 0))
    expect(() => act(receiver)).toThrow(TransferError)
  })

  it('the receiver refuses a file that is too long before it allocates memory for it', () => {
    expect(() => new Receiver(lanes).onOffer(offer(0, 0, { length: fileBytesMax + 1 }))).toThrow('are accepted')
    expect(() => new Receiver(lanes).onOffer(offer(0, 0, { length: 0 }))).toThrow('are accepted')
  })
})

/**
 * A sender and a receiver with a wire between them that loses messages in both directions when `loses` says so, and
 * keeps the order of a lane.
 */
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

describe('the sender of the swarm', () => {
  it('the sender delivers round after round', async () => {
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
    'the sender delivers every round although pieces, questions and answers are lost (seed %i)',
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
    'the sender delivers to a receiver that loses its state mid-round, as after a crash (seed %i)',
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

  it('the receiver takes the first round of a restarted sender in place of the one that it cannot finish', async () => {
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

  it('the sender asks again at once when the connection breaks, before its retry time has passed', async () => {
    let sent = 0
    const { sender } = connect(() => ++sent === 19, { retryMs: 60_000 })
    const round = sender.sendRound()
    const isLost = setInterval(() => [0, 1, 2].forEach((lane) => sender.onLost(lane)), 5)
    await round
    clearInterval(isLost)
    expect(sender.questionsRepeated).toBeGreaterThan(0)
  })

  it('the sender gives up on a receiver that never answers', async () => {
    const { sender } = connect(() => true, { stallMs: 20 })
    await expect(sender.sendRound()).rejects.toThrow('no answer on lane')
  })

  it('the sender fails when the digest is wrong', async () => {
    const { sender, receiver } = connect(() => false, { corrupt: true })
    await expect(sender.sendRound()).rejects.toThrow('wrong SHA-256')
    expect(receiver).toMatchObject({ verified: 0, wrong: 1 })
  })

  it('stop() rejects the round under way with the given error', async () => {
    const { sender } = connect(() => true)
    const round = sender.sendRound()
    sender.stop(new TransferError('enough'))
    await expect(round).rejects.toThrow('enough')
  })
})
