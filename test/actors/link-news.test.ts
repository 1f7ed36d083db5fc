/** Owns: when the news of a link's connections is told. Refuses to know: links. */
import { describe, expect, it } from 'vitest'
import { LinkNews } from '../../actors/link-news.ts'
import type { LinkNewsOptions } from '../../actors/link-news.ts'

const reason = { code: 'ERR_CONNECTION_LOST', message: 'gone' } as const
const lost = ['connection.closed', 'connection.lost', 'link.down']
const opened = ['connection.opened', 'connection.opened', 'link.up']

class Scene {
  readonly told: string[] = []
  readonly news: LinkNews
  #immediates: (() => void)[] = []

  constructor(isReplayed = true) {
    const tell = ({ type }: { type: string }): void => void this.told.push(type)
    const clock = { setImmediate: (callback: () => void) => void this.#immediates.push(callback) }
    this.news = new LinkNews({ services: { environment: { clock }, emit: tell }, peer: 'bob', spec: { id: 'link:0', connectionId: 0, state: { readsAtOnce: isReplayed } }, port: { tell }, pumps: { tell } } as unknown as LinkNewsOptions)
  }

  turn(): string[] {
    const due = this.#immediates
    this.#immediates = []
    for (const callback of due) callback()
    return this.told.splice(0)
  }
}

describe('news', () => {
  it('of a break is told in the next turn', () => {
    const scene = new Scene()
    scene.news.lost('connection:0.1', reason, reason)
    expect(scene.told).toEqual([])
    expect(scene.turn()).toEqual(lost)
  })

  it('of a break that a dial follows waits a turn more, for the ClientHello, and keeps its order', () => {
    const scene = new Scene()
    scene.news.lost('connection:0.1', reason, reason)
    scene.news.started()
    expect(scene.turn()).toEqual([])
    expect(scene.turn()).toEqual([...lost, 'connection.started'])
  })

  it('of what opens waits with that of its beginning', () => {
    const scene = new Scene()
    scene.news.started()
    scene.news.opened('connection:0.2', '127.0.0.1:1')
    expect([scene.turn(), scene.turn()]).toEqual([[], ['connection.started', ...opened]])
  })

  it('of a later break does not wait for a connection that is long there', () => {
    const scene = new Scene()
    scene.news.started()
    scene.turn()
    scene.turn()
    scene.news.lost('connection:0.2', reason, reason)
    expect(scene.turn()).toEqual(lost)
  })

  it('is told before anything that cannot wait', () => {
    const scene = new Scene()
    scene.news.started()
    scene.news.ready()
    expect(scene.told).toEqual(['connection.started', 'link.ready'])
    scene.told.length = 0
    scene.news.lost('connection:0.1', reason, reason)
    expect([scene.turn(), scene.turn()]).toEqual([lost, []])
  })

  it('is told at once where breaks are not replayed', () => {
    const scene = new Scene(false)
    scene.news.started()
    scene.news.lost('connection:0.1', reason, reason)
    expect(scene.told).toEqual(['connection.started', ...lost])
  })
})
