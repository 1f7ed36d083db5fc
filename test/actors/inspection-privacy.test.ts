/**
 * Owns: that an inspector never sees a byte of what sessions carry, and that its events are small and can be
 * serialised.
 * Independent of: which actors there are, and how bytes are searched for (carried-bytes.ts).
 */
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { InspectionEvent } from 'xstate'
import { FrameWriter } from '../../codec/index.ts'
import { createNetwork } from '../../index.ts'
import type { NetworkValue, Session } from '../../index.ts'
import { bytesReachable, carried, marker, spelt } from './carried-bytes.ts'
import { idOf, makeSessions, startPair, stopAll, stops } from './inspection-bench.ts'

afterEach(stopAll)

class Recorder {
  readonly events: InspectionEvent[] = []
  readonly texts: string[] = []
  readonly problems: string[] = []
  lengthMax = 0

  readonly inspect = (event: InspectionEvent): void => {
    this.events.push(event)
    this.#check(event, 'when it came')
  }

  /** Again at the end, because an object may have been filled later. */
  checkAgain(): void {
    for (const event of this.events) this.#check(event, 'at the end')
    if (this.events.some(({ actorRef: _, ...rest }) => bytesReachable(rest)))
      this.problems.push('bytes can be reached from an event by its properties')
  }

  #check(event: InspectionEvent, when: string): void {
    let text: string
    try {
      text = JSON.stringify(event)
    } catch (error) {
      this.problems.push(`${event.type} of ${idOf(event)} cannot be serialised ${when}: ${String(error)}`)
      return
    }
    this.lengthMax = Math.max(this.lengthMax, text.length)
    // Charts are on the actor's logic, once; an event that asks for a child must not repeat them.
    if (text.includes('"states"')) this.problems.push(`${event.type} of ${idOf(event)} holds a chart ${when}: ${text}`)
    for (const spelling of spelt(text))
      this.problems.push(`${event.type} of ${idOf(event)} spells ${JSON.stringify(spelling)} ${when}: ${text}`)
  }
}

describe('the search for carried bytes', () => {
  it.each(carried.map((value, index) => [index, value.type, value] as const))(
    'the search for carried bytes finds value %i, %s, in an event',
    (_, __, value) => {
      const event = { type: 'x', event: { value } }
      const text = JSON.stringify(event, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))
      expect(spelt(text)).not.toEqual([])
      expect(
        spelt(JSON.stringify({ key: marker.subarray(0, 16).toString('base64'), text: marker.toString('latin1') })),
      ).not.toEqual([])
    },
  )

  it('the search for carried bytes finds bytes hidden by a toJSON', () => {
    expect(bytesReachable({ event: { secret: new Map([['a', marker]]), toJSON: () => 'nothing' } })).toBe(true)
    expect(bytesReachable({ event: { plain: 'words' } })).toBe(false)
  })
})

describe.each(['fail', 'reconnect'] as const)('in mode %s', (mode) => {
  it(`no inspection event in mode ${mode} holds sent bytes, and each is small and can be serialised`, async () => {
    const recorder = new Recorder()
    // PRF keys consist of the marker as well.
    const random = { fraction: () => 0.5, bytes: (length: number) => Uint8Array.from(marker.subarray(0, length)) }
    const pair = await startPair({
      mode,
      inspect: recorder.inspect,
      bobInspect: recorder.inspect,
      environment: { random },
    })
    const [fromAlice, fromBob] = await makeSessions(pair, { count: 3, agreePrfKeys: true })
    const [queued, handled, broken] = fromAlice as [Session, Session, Session]
    const [toQueue, toHandler, toBroken] = fromBob as [Session, Session, Session]
    expect(Buffer.from(queued.prf?.previous ?? [])).toEqual(marker.subarray(0, 16))

    // Both ways, to a queue and to a handler.
    let count = 0
    const all = new Promise<void>((resolve) =>
      toHandler.handle('alice', () => void (++count === carried.length && resolve())),
    )
    for (const value of carried) {
      await queued.send('bob', value)
      await toQueue.send('alice', value)
      await handled.send('bob', value)
      expect((await toQueue.receive('alice')).type).toBe(value.type)
      expect((await queued.receive('bob')).type).toBe(value.type)
    }
    await all

    // Left unread; passed to a handler that fails; on a control channel.
    await queued.send('bob', carried[0] as NetworkValue)
    const hasEnded = expect(toBroken.ended('alice')).resolves.toMatchObject({ code: 'ERR_HANDLER_FAILED' })
    toBroken.handle('alice', () => {
      throw new Error('a handler failed')
    })
    await broken.send('bob', carried[0] as NetworkValue)
    await hasEnded
    const [aliceControl, bobControl] = await Promise.all([
      pair.alice.openControlChannel(),
      pair.bob.openControlChannel(),
    ])
    await aliceControl.send('bob', carried[0] as NetworkValue)
    expect((await bobControl.receive('alice')).type).toBe('Bytes')

    // In flight while every socket breaks.
    const lost = new Promise((resolve) => pair.alice.on('connection.lost', resolve))
    const sends = carried.map((value) => queued.send('bob', value).catch(() => {}))
    for (const pipe of pair.transport.pipes) pipe.reset()
    await lost
    await Promise.all([pair.alice.shutdown(), pair.bob.shutdown(), ...sends])

    recorder.checkAgain()
    expect(recorder.problems).toEqual([])
    expect(recorder.lengthMax).toBeLessThan(4096)
    expect(recorder.events.length).toBeGreaterThan(200)
  })
})

describe('a network with many peers', () => {
  it('a network with 100 peers keeps inspection events small', async () => {
    const recorder = new Recorder()
    const peers = Array.from({ length: 100 }, (_, index) => ({ id: `peer-${index}` }))
    const network = createNetwork(
      { identity: 'alice', listen: 'tcp://127.0.0.1:0', peers, security: 'plaintext' },
      { inspect: recorder.inspect },
    )
    await network.ready()
    await network.shutdown()
    expect(recorder.problems).toEqual([])
    expect(recorder.lengthMax).toBeLessThan(4096)
    expect(new Set(recorder.events.map(idOf)).size).toBe(105)
  })
})

describe('a key at the wrong time', () => {
  it('the error about a key that arrives at the wrong time does not quote the key', async () => {
    const recorder = new Recorder()
    const { alice } = await startPair({ inspect: recorder.inspect })
    const made = alice.makeSessions({ count: 1 }).then(
      () => '',
      (error: Error) => error.message,
    )
    const writer = new FrameWriter()
    writer.writeFrame(0, { type: 'PrfKey', value: marker.subarray(0, 16) })
    const greeting = Buffer.from([0, 0, 0, 0, 0, 0, 0, 3])
    const { port } = new URL(alice.url ?? '')
    const socket = connect(Number(port), '127.0.0.1').resume()
    stops.push(() => socket.destroy())
    socket.write(Buffer.concat([greeting, Buffer.from('bob'), ...writer.take()]))
    expect(await made).toContain('a key that is not a session number')
    await alice.shutdown()
    expect(spelt(await made)).toEqual([])
    recorder.checkAgain()
    expect(recorder.problems).toEqual([])
  })
})
