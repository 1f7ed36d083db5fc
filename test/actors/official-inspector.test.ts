/**
 * Owns: that the official inspector's Node transport shows the actors of a network.
 * Independent of: our own inspector.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { createWebSocketInspector, createWebSocketReceiver } from '@statelyai/inspect'
import type { StatelyInspectionEvent } from '@statelyai/inspect'
import { WebSocket, WebSocketServer } from 'ws'
import { carried, spelt } from './carried-bytes.ts'
import { makeSessions, startPair, stopAll, stops } from './inspection-bench.ts'
import type { ChartConfig } from './inspection-bench.ts'

afterEach(stopAll)

describe("the official inspector's Node transport", () => {
  it('the official inspector shows actors, charts and states to a WebSocket receiver, and no payload', async () => {
    // A relay like the inspector's own server, but on loopback and any port.
    const relay = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    stops.push(
      () =>
        new Promise((resolve) => {
          for (const client of relay.clients) client.terminate()
          relay.close(resolve)
        }),
    )
    relay.on('connection', (socket) => {
      socket.on('message', (data) => {
        for (const client of relay.clients)
          if (client !== socket && client.readyState === WebSocket.OPEN) client.send((data as Buffer).toString())
      })
    })
    await new Promise((resolve) => relay.once('listening', resolve))
    const url = `ws://127.0.0.1:${(relay.address() as { port: number }).port}`

    const messages: StatelyInspectionEvent[] = []
    let isEnough = (): boolean => false
    let notifyEnough = (): void => {}
    const connected = new Promise((resolve) => relay.once('connection', resolve))
    createWebSocketReceiver({ server: url }).subscribe((message) => {
      messages.push(message)
      if (isEnough()) notifyEnough()
    })
    await connected
    const inspector = createWebSocketInspector({ url, serializationDepthLimit: 40, maxDeferredEvents: 100_000 })
    stops.push(() => inspector.stop())

    const pair = await startPair({ inspect: inspector.inspect })
    const [[fromAlice], [fromBob]] = await makeSessions(pair)
    const links = (): string[] =>
      messages.flatMap((message) =>
        message.type === '@xstate.actor' && message.name.startsWith('link:') ? [message.sessionId] : [],
      )
    const isUp = (message: StatelyInspectionEvent): boolean =>
      message.type === '@xstate.snapshot' &&
      links().includes(message.sessionId) &&
      JSON.stringify((message.snapshot as unknown as { value: unknown }).value) === '{"up":"stable"}'
    isEnough = () => messages.some(isUp)
    const enough = new Promise<void>((resolve) => (notifyEnough = resolve))
    for (const value of carried) {
      await fromAlice?.send('bob', value)
      await fromBob?.send('alice', value)
      await fromAlice?.receive('bob')
    }
    if (!isEnough()) await enough

    const actors = messages.filter((message) => message.type === '@xstate.actor')
    const names = actors.map((actor) => actor.name)
    expect(names).toEqual(
      expect.arrayContaining([
        'supervisor',
        'reconnector',
        'listener',
        'peers',
        'peer:bob',
        'groups',
        'group:0',
        'link:group:0.0',
        'connection:0.1',
        'forwarder:out',
        'forwarder:in',
      ]),
    )
    const byName = new Map(actors.map((actor) => [actor.name, actor]))
    expect(byName.get('peer:bob')?.parentId).toBe(byName.get('peers')?.sessionId)
    for (const actor of actors) {
      const chart = JSON.parse(actor.definition ?? '{}') as ChartConfig
      expect(Object.keys(chart.states ?? {}), actor.name).not.toEqual([])
    }
    const connection = JSON.parse(byName.get('connection:0.1')?.definition ?? '{}') as ChartConfig
    expect(Object.keys(connection.states ?? {}).sort()).toEqual([
      'authenticating',
      'closed',
      'closing',
      'errored',
      'open',
      'opening',
    ])
    expect(connection.states?.['authenticating']?.states).toHaveProperty('claimed')
    expect(messages.flatMap((message) => spelt(JSON.stringify(message)))).toEqual([])
  })
})
