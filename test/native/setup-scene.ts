/**
 * Owns: one side of session set-up with peers that a test plays itself: what was sent, which lanes are open.
 * Independent of: links and their frames on the wire.
 */
import type { SetupFrame } from '../../codec/setup-frames.ts'
import { StatewireError } from '../../codec/errors.ts'
import { SessionIds } from '../../protocol/native/setup/session-ids.ts'
import { SessionSetup } from '../../protocol/native/setup/session-setup.ts'
import type { SetupHandle, SetupPort, SetupResult } from '../../protocol/native/setup/setup-port.ts'

export interface SceneLane {
  readonly peer: string
  readonly link: number
  readonly id: number
  creditBytes: number
  isReset: boolean
  readonly onEnded: () => void
}

export interface SceneCall {
  readonly handle: SetupHandle
  result: SetupResult<SceneLane> | null
  error: StatewireError | null
}

/** The random numbers are 1, 2, 3, …: the first ones are the first k of each peer, the others are call ids. */
export class SetupScene {
  readonly setup: SessionSetup<SceneLane>
  /** `peer:link` and the frame, or a Reset. */
  sent: string[] = []
  readonly up = new Set<string>()
  readonly lanes: SceneLane[] = []
  readonly ids = new Map<string, SessionIds>()
  links: number
  /** Wants wait for room while this is false. */
  hasRoom = true
  /** Writing a frame that begins so ends the epoch of its link. */
  failing: string | null = null
  refusal: StatewireError | null = null
  released = 0
  #random = 0n

  constructor(options: { greater?: readonly string[]; lesser?: readonly string[]; links?: number }) {
    this.links = options.links ?? 1
    this.setup = new SessionSetup({ randomBits: () => (this.#random += 1n) })
    for (const peer of options.greater ?? []) this.#add(peer, false)
    for (const peer of options.lesser ?? []) this.#add(peer, true)
  }

  linkUp(peer: string, link = 0): void {
    this.up.add(`${peer}:${link}`)
    this.setup.linkUp(peer, link)
  }

  linkReset(peer: string, link = 0): void {
    this.up.delete(`${peer}:${link}`)
    this.ids.delete(`${peer}:${link}`)
    this.setup.linkReset(peer, link)
  }

  call(count: number, peers: readonly string[], name = ''): SceneCall {
    const call: { -readonly [K in keyof SceneCall]: SceneCall[K] } = { handle: null!, result: null, error: null }
    call.handle = this.setup.call({
      name,
      count,
      peers,
      onDone: (result) => (call.result = result),
      onFailed: (error) => (call.error = error),
    })
    return call
  }

  receive(peer: string, link: number, frame: SetupFrame): void {
    this.setup.onFrame(peer, link, frame)
  }

  /** What was sent since the last call. */
  take(): string[] {
    const sent = this.sent
    this.sent = []
    return sent
  }

  laneAt(peer: string, link: number, id: number): SceneLane {
    const lane = this.lanes.find((each) => each.peer === peer && each.link === link && each.id === id)
    if (lane === undefined) throw new Error(`no lane ${id} of ${peer} on link ${link}`)
    return lane
  }

  idsOf(peer: string, link = 0): SessionIds {
    const key = `${peer}:${link}`
    const ids = this.ids.get(key) ?? new SessionIds()
    this.ids.set(key, ids)
    return ids
  }

  #add(peer: string, isGreater: boolean): void {
    const links = (): number => this.links
    const write = (link: number, frame: SetupFrame): void => {
      const text = `${peer}:${link} ${textOf(frame)}`
      this.sent.push(text)
      if (this.failing === null || !text.startsWith(this.failing)) return
      this.failing = null
      this.linkReset(peer, link)
    }
    const port: SetupPort<SceneLane> = {
      isGreater,
      get links() {
        return links()
      },
      isUp: (link) => this.up.has(`${peer}:${link}`),
      ids: (link) => this.idsOf(peer, link),
      send: write,
      sendWant: (frame) => {
        const isSent = this.hasRoom
        if (isSent) write(0, frame)
        return { withdraw: () => !isSent }
      },
      reserveWindows: () => {
        if (this.refusal !== null) throw this.refusal
        return 500
      },
      releaseWindows: (lanes) => (this.released += lanes),
      openLanes: ({ link, firstId, count, creditBytes, onEnded }) => {
        const opened = [...Array(count).keys()].map((index) => {
          return { peer, link, id: firstId + index, creditBytes, isReset: false, onEnded }
        })
        this.lanes.push(...opened)
        return opened
      },
      grantCredit: (lanes, creditBytes) => {
        for (const lane of lanes) lane.creditBytes += creditBytes
      },
      resetLanes: (link, lanes) => {
        for (const lane of lanes) {
          lane.isReset = true
          this.sent.push(`${peer}:${link} Reset ${lane.id}`)
        }
      },
    }
    this.setup.addPeer(peer, port)
  }
}

function textOf(frame: SetupFrame): string {
  switch (frame.type) {
    case 'Want':
      return `Want k=${frame.k} call=${frame.callId} count=${frame.count} name='${frame.name}'`
    case 'Make':
      return `Make k=${frame.k} call=${frame.callId} first=${frame.firstId}`
    case 'Made':
      return `Made k=${frame.k}`
    case 'Refuse':
      return `Refuse k=${frame.k} ${frame.reason} ${frame.ownCount}`
    case 'Agree':
      return `Agree k=${frame.k} set=${frame.set}`
  }
}

export const want = (k: number, callId: bigint, count: number, name = ''): SetupFrame => {
  return { type: 'Want', k, callId, count, name }
}
export const make = (k: number, callId: bigint, firstId: number): SetupFrame => {
  return { type: 'Make', k, callId, firstId, windowBytes: 700 }
}
export const made = (k: number): SetupFrame => ({ type: 'Made', k, windowBytes: 700 })
export const agree = (k: number, set: bigint): SetupFrame => ({ type: 'Agree', k, set })
export const refuse = (k: number, reason: 'withdrawn' | 'counts-differ' | 'limit', ownCount = 0): SetupFrame => {
  return { type: 'Refuse', k, reason, ownCount }
}
