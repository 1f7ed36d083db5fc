/**
 * Owns: the rules of session set-up one by one, at one side, with peers that the test plays itself.
 * Independent of: interleavings (session-setup-model.test.ts) and the wire.
 *
 * In each scene k starts at 1 with the first peer and at 2 with the second one; the next number is the first call id.
 */
import { describe, expect, test } from 'vitest'
import { StatewireError } from '../../codec/errors.ts'
import { openWantsMax } from '../../protocol/native/setup/setup-peer.ts'
import type { SetupFrame } from '../../codec/setup-frames.ts'
import { expectError } from '../codec/harness.ts'
import { agree, made, make, refuse, SetupScene, want } from './setup-scene.ts'

/** This side has the lesser id of two: it asks. */
function lesserSide(links = 1): SetupScene {
  const scene = new SetupScene({ greater: ['g'], links })
  for (let link = 0; link < links; link += 1) scene.linkUp('g', link)
  return scene
}

/** This side has the greater id of two: it assigns ids. */
function greaterSide(links = 1): SetupScene {
  const scene = new SetupScene({ lesser: ['l'], links })
  for (let link = 0; link < links; link += 1) scene.linkUp('l', link)
  return scene
}

describe('the side with the lesser id asks for sessions', () => {
  test('a Want is sent once link 0 is up, with a k that grows by one', () => {
    const scene = new SetupScene({ greater: ['g'] })
    scene.call(3, ['g'], 'a')
    scene.call(4, ['g'], 'b')
    expect(scene.take()).toEqual([])
    scene.linkUp('g')
    expect(scene.take()).toEqual(["g:0 Want k=1 call=2 count=3 name='a'", "g:0 Want k=2 call=3 count=4 name='b'"])
  })

  test('the second call of a name waits until the first one has ended', () => {
    const scene = lesserSide()
    const first = scene.call(1, ['g'])
    const second = scene.call(1, ['g'])
    expect(scene.take()).toHaveLength(1)
    expect(second.handle.progress()).toEqual(new Map([['g', 'waiting for an earlier call']]))
    scene.receive('g', 0, make(1, 9n, 0))
    expect(scene.take()).toEqual(['g:0 Made k=1', 'g:0 Agree k=1 set=11'])
    scene.receive('g', 0, agree(1, 11n))
    expect(first.result?.set).toBe(11n)
    expect(scene.take()).toEqual(["g:0 Want k=2 call=3 count=1 name=''"])
  })

  test('at most 64 Wants are open, and the next one is sent when one of them has its answer', () => {
    const scene = lesserSide()
    for (let index = 0; index < openWantsMax + 2; index += 1) scene.call(1, ['g'], `call ${index}`)
    expect(scene.take()).toHaveLength(64)
    scene.receive('g', 0, make(5, 9n, 0))
    expect(scene.take()).toEqual([
      'g:0 Made k=5',
      'g:0 Agree k=5 set=15',
      "g:0 Want k=65 call=66 count=1 name='call 64'",
    ])
    scene.receive('g', 0, refuse(6, 'limit'))
    expect(scene.take()).toEqual(["g:0 Want k=66 call=67 count=1 name='call 65'"])
  })

  test('an aborted call withdraws its Want, with a frame only if the Want was handed over', () => {
    const scene = lesserSide()
    scene.call(1, ['g']).handle.abort()
    expect(scene.take()).toEqual(["g:0 Want k=1 call=2 count=1 name=''", 'g:0 Refuse k=1 withdrawn 0'])
    scene.hasRoom = false
    scene.call(1, ['g']).handle.abort()
    expect(scene.take()).toEqual([])
  })

  test('a new epoch of link 0 ends open Wants, which are sent again with a new k', () => {
    const scene = lesserSide()
    scene.call(1, ['g'])
    scene.take()
    scene.linkReset('g')
    expect(scene.take()).toEqual([])
    scene.linkUp('g')
    expect(scene.take()).toEqual(["g:0 Want k=2 call=2 count=1 name=''"])
    scene.receive('g', 0, make(1, 9n, 0))
    expect(scene.take()).toEqual(['g:0 Refuse k=1 withdrawn 0'])
  })

  test('each Make is answered on its own link, and the call is paired when the Makes of all links came', () => {
    const scene = lesserSide(3)
    const call = scene.call(5, ['g'])
    scene.take()
    scene.receive('g', 2, make(1, 9n, 40))
    scene.receive('g', 0, make(1, 9n, 10))
    expect(scene.take()).toEqual(['g:2 Made k=1', 'g:0 Made k=1'])
    scene.receive('g', 1, make(1, 9n, 20))
    expect(scene.take()).toEqual(['g:1 Made k=1', 'g:0 Agree k=1 set=11'])
    scene.receive('g', 0, agree(1, 11n))
    const lanes = call.result?.sessions.map((peers) => peers.get('g'))
    expect(lanes?.map((lane) => [lane?.link, lane?.id])).toEqual([
      [0, 10],
      [1, 20],
      [2, 40],
      [0, 11],
      [1, 21],
    ])
    expect(lanes?.map((lane) => lane?.creditBytes)).toEqual([700, 700, 700, 700, 700])
  })

  test('a Make for a number that this process never sent is refused as withdrawn', () => {
    const scene = lesserSide()
    scene.call(1, ['g'])
    scene.take()
    scene.receive('g', 0, make(77, 9n, 0))
    expect(scene.take()).toEqual(['g:0 Refuse k=77 withdrawn 0'])
  })

  test('a limit of this side fails the call, and the Make of each link is refused for it', () => {
    const scene = lesserSide(2)
    const call = scene.call(2, ['g'])
    scene.take()
    scene.refusal = new StatewireError('ERR_MEMORY_BUDGET', 'no room')
    scene.receive('g', 1, make(1, 9n, 0))
    scene.receive('g', 0, make(1, 9n, 0))
    expect(call.error?.code).toBe('ERR_MEMORY_BUDGET')
    expect(scene.take()).toEqual(['g:1 Refuse k=1 limit 0', 'g:0 Refuse k=1 limit 0'])
    scene.receive('g', 0, make(1, 9n, 5))
    expect(scene.take()).toEqual(['g:0 Refuse k=1 withdrawn 0'])
  })

  test.each([
    [refuse(1, 'counts-differ', 7), 'ERR_SESSION_COUNTS', /asks for 3 sessions and g for 7/],
    [refuse(1, 'limit'), 'ERR_SESSION_LIMIT', /g refuses 3 sessions/],
  ])('a Refuse with a reason of the peer fails the call: %o', (frame, code, message) => {
    const scene = lesserSide()
    const call = scene.call(3, ['g'])
    scene.receive('g', 0, frame)
    expect(call.error?.code).toBe(code)
    expect(call.error?.message).toMatch(message)
  })
})

describe('the side with the greater id assigns session ids', () => {
  test('session i is on link i mod n, and ids go on where the last call ended', () => {
    const scene = greaterSide(3)
    scene.call(4, ['l'])
    scene.receive('l', 0, want(5, 9n, 4))
    expect(scene.take()).toEqual([
      'l:0 Make k=5 call=2 first=0',
      'l:1 Make k=5 call=2 first=0',
      'l:2 Make k=5 call=2 first=0',
    ])
    scene.call(1, ['l'], 'x')
    scene.receive('l', 0, want(6, 9n, 1, 'x'))
    expect(scene.take()).toEqual(['l:0 Make k=6 call=3 first=2'])
  })

  test('a Want that waits for a call is met by the next call of its name', () => {
    const scene = greaterSide()
    scene.receive('l', 0, want(5, 9n, 1, 'x'))
    scene.call(1, ['l'], 'y')
    expect(scene.take()).toEqual([])
    scene.call(1, ['l'], 'x')
    expect(scene.take()).toEqual(['l:0 Make k=5 call=3 first=0'])
  })

  test('no id is taken before all links of the attempt are up', () => {
    const scene = new SetupScene({ lesser: ['l'], links: 3 })
    scene.linkUp('l', 0)
    scene.call(2, ['l'])
    scene.receive('l', 0, want(5, 9n, 2))
    expect(scene.take()).toEqual([])
    scene.linkUp('l', 1)
    expect(scene.take()).toEqual(['l:0 Make k=5 call=2 first=0', 'l:1 Make k=5 call=2 first=0'])
  })

  test('counts that differ are refused before the other links are up, and the error names both', () => {
    const scene = new SetupScene({ lesser: ['l'], links: 3 })
    scene.linkUp('l', 0)
    const call = scene.call(2, ['l'], 'x')
    scene.receive('l', 0, want(5, 9n, 4, 'x'))
    expect(scene.take()).toEqual(['l:0 Refuse k=5 counts-differ 2'])
    expect(call.error?.code).toBe('ERR_SESSION_COUNTS')
    expect(call.error?.message).toMatch(/this side asks for 2 sessions and l for 4 .*named "x"/)
  })

  test('a limit of this side is refused on link 0 and fails the call with its own error', () => {
    const scene = greaterSide()
    scene.refusal = new StatewireError('ERR_SESSION_LIMIT', 'too many sessions')
    const call = scene.call(1, ['l'])
    scene.receive('l', 0, want(5, 9n, 1))
    expect([call.error, scene.take()]).toEqual([scene.refusal, ['l:0 Refuse k=5 limit 0']])
  })

  test('ids that are used up fail the call, and nothing is taken on the other links', () => {
    const scene = greaterSide(2)
    scene.idsOf('l', 1).take(0x4000_0000)
    const call = scene.call(2, ['l'])
    scene.receive('l', 0, want(5, 9n, 2))
    expect([call.error?.code, scene.take()]).toEqual(['ERR_SESSION_IDS_USED_UP', ['l:0 Refuse k=5 limit 0']])
    expect(scene.idsOf('l', 0).take(1)).toBe(0)
  })

  test('a lane can send once its Made came, and the call is done with the Agree of the same set', () => {
    const scene = greaterSide(2)
    const call = scene.call(2, ['l'])
    scene.receive('l', 0, want(5, 9n, 2))
    scene.take()
    scene.receive('l', 1, made(5))
    expect([scene.laneAt('l', 0, 0).creditBytes, scene.laneAt('l', 1, 0).creditBytes]).toEqual([0, 700])
    scene.receive('l', 0, agree(5, 11n))
    expect(call.result).toBeNull()
    scene.receive('l', 0, made(5))
    expect(scene.take()).toEqual(['l:0 Agree k=5 set=11'])
    expect(call.result?.set).toBe(11n)
  })

  test('an aborted call leaves the open Want for the next call of the name', () => {
    const scene = new SetupScene({ lesser: ['l'], links: 2 })
    scene.linkUp('l', 0)
    const call = scene.call(2, ['l'])
    scene.receive('l', 0, want(5, 9n, 2))
    call.handle.abort()
    scene.linkUp('l', 1)
    expect(scene.take()).toEqual([])
    scene.call(2, ['l'])
    expect(scene.take()).toEqual(['l:0 Make k=5 call=3 first=0', 'l:1 Make k=5 call=3 first=0'])
  })

  test('a Want that its sender withdrew is not met any more', () => {
    const scene = greaterSide()
    scene.receive('l', 0, want(5, 9n, 1))
    scene.receive('l', 0, refuse(5, 'withdrawn'))
    scene.call(1, ['l'])
    expect(scene.take()).toEqual([])
  })
})

/** Two links; the Make of link 1 has been sent, and the Made of link 0 came. */
function halfPaired(): SetupScene {
  const scene = greaterSide(2)
  scene.call(3, ['l'])
  scene.receive('l', 0, want(5, 9n, 3))
  scene.receive('l', 0, made(5))
  scene.take()
  return scene
}

const allResets = ['l:0 Reset 0', 'l:0 Reset 1', 'l:1 Reset 0']

describe('an attempt that is void', () => {
  test.each<[string, (scene: SetupScene) => void, string[]]>([
    ['a Refuse with the reason withdrawn', (scene) => scene.receive('l', 1, refuse(5, 'withdrawn')), allResets],
    ['the end of one of its lanes', (scene) => scene.laneAt('l', 1, 0).onEnded(), allResets],
    ['a reset of link 0', (scene) => scene.linkReset('l', 0), ['l:1 Reset 0']],
    ['a reset of a link whose Made did not come', (scene) => scene.linkReset('l', 1), allResets.slice(0, 2)],
    [
      'another number of links',
      (scene) => {
        scene.links = 1
        scene.setup.linksChanged('l')
      },
      allResets,
    ],
    [
      'an Agree with another set',
      (scene) => {
        scene.receive('l', 0, agree(5, 12n))
        scene.receive('l', 1, made(5))
      },
      ['l:0 Agree k=5 set=11', ...allResets],
    ],
  ])('its lanes that are left are reset, and the call is paired with the next Want: %s', (_, bring, sent) => {
    const scene = halfPaired()
    bring(scene)
    expect(scene.take()).toEqual(sent)
    scene.linkUp('l', 0)
    scene.linkUp('l', 1)
    scene.receive('l', 0, agree(5, 11n))
    scene.receive('l', 1, made(5))
    expect(scene.take()).toEqual([])
    scene.receive('l', 0, want(6, 9n, 3))
    expect(scene.take()[0]).toMatch(/^l:0 Make k=6 call=2/)
  })

  test('a reset of a link that the attempt does not use leaves it alone', () => {
    const scene = greaterSide(3)
    const call = scene.call(2, ['l'])
    scene.receive('l', 0, want(5, 9n, 2))
    scene.linkReset('l', 2)
    scene.receive('l', 0, made(5))
    scene.receive('l', 1, made(5))
    scene.receive('l', 0, agree(5, 11n))
    expect(call.result?.set).toBe(11n)
  })

  test('windows of lanes that were never opened are released', () => {
    const scene = lesserSide(3)
    scene.call(7, ['g'])
    scene.receive('g', 0, make(1, 9n, 0))
    scene.linkReset('g', 2)
    expect(scene.released).toBe(4)
    expect(scene.take().slice(-4)).toEqual([
      'g:0 Reset 0',
      'g:0 Reset 1',
      'g:0 Reset 2',
      "g:0 Want k=2 call=2 count=7 name=''",
    ])
  })

  test.each<[string, string, SetupFrame[], string[]]>([
    ['g', 'Made', [make(1, 9n, 0), make(1, 9n, 0)], ['g:0 Reset 0', "g:0 Want k=2 call=2 count=3 name=''"]],
    ['l', 'Make', [want(5, 9n, 3)], ['l:0 Reset 0']],
  ])('a write that fails and ends the epoch of its link voids the attempt with %s', (peer, type, frames, sent) => {
    const scene = peer === 'g' ? lesserSide(3) : greaterSide(3)
    scene.call(3, [peer])
    scene.failing = `${peer}:1 ${type}`
    for (const [link, frame] of frames.entries()) scene.receive(peer, link, frame)
    expect(scene.take().slice(peer === 'g' ? 3 : 2)).toEqual(sent)
    expect([scene.lanes.length, scene.released]).toEqual([2, 1])
  })

  test('lanes of a call that is done belong to the application', () => {
    const scene = greaterSide()
    const call = scene.call(1, ['l'])
    scene.receive('l', 0, want(5, 9n, 1))
    scene.receive('l', 0, made(5))
    scene.receive('l', 0, agree(5, 11n))
    scene.take()
    call.handle.abort()
    scene.laneAt('l', 0, 0).onEnded()
    scene.receive('l', 0, refuse(5, 'withdrawn'))
    scene.receive('l', 0, agree(5, 12n))
    scene.linkReset('l')
    expect(scene.take()).toEqual([])
  })
})

/** Three parties: this one is between `l` and `g`. Its call has the id 3, those of the others 8 and 16. */
function threeParties(): SetupScene {
  const scene = new SetupScene({ greater: ['g'], lesser: ['l'] })
  scene.linkUp('g')
  scene.linkUp('l')
  return scene
}

describe('a call with more than one peer', () => {
  test('it is done when all peers agree on the set of all call ids', () => {
    const scene = threeParties()
    const call = scene.call(1, ['g', 'l'])
    scene.receive('l', 0, want(5, 8n, 1))
    scene.receive('l', 0, made(5))
    scene.receive('l', 0, agree(5, 27n))
    scene.take()
    scene.receive('g', 0, make(1, 16n, 0))
    expect(scene.take()).toEqual(['g:0 Made k=1', 'l:0 Agree k=5 set=27', 'g:0 Agree k=1 set=27'])
    expect(call.result).toBeNull()
    scene.receive('g', 0, agree(1, 27n))
    expect(call.result?.sessions.map((lanes) => [...lanes.keys()].sort())).toEqual([['g', 'l']])
  })

  test('an attempt that is void leaves those with other peers, and Agrees are compared again', () => {
    const scene = threeParties()
    const call = scene.call(1, ['g', 'l'])
    scene.receive('l', 0, want(5, 8n, 1))
    scene.receive('l', 0, made(5))
    scene.receive('g', 0, make(1, 16n, 0))
    scene.receive('l', 0, agree(5, 27n))
    scene.take()
    scene.laneAt('g', 0, 0).onEnded()
    expect(scene.take()).toEqual(['g:0 Reset 0', "g:0 Want k=2 call=3 count=1 name=''"])
    scene.receive('g', 0, make(2, 32n, 1))
    expect(scene.take()).toEqual(['g:0 Made k=2', 'l:0 Agree k=5 set=43', 'g:0 Agree k=2 set=43', 'l:0 Reset 0'])
    scene.receive('g', 0, agree(2, 43n))
    scene.receive('l', 0, want(6, 8n, 1))
    scene.receive('l', 0, agree(6, 43n))
    expect(call.result).toBeNull()
    scene.receive('l', 0, made(6))
    expect(call.result?.set).toBe(43n)
  })

  test('a call that fails with one peer voids its attempts with all peers', () => {
    const scene = threeParties()
    const call = scene.call(1, ['g', 'l'])
    scene.receive('l', 0, want(5, 8n, 1))
    scene.take()
    scene.receive('g', 0, refuse(1, 'counts-differ', 4))
    expect(call.error?.code).toBe('ERR_SESSION_COUNTS')
    expect(scene.take()).toEqual(['l:0 Reset 0'])
  })

  test('a peer that is removed fails its calls, and they are withdrawn from the others', () => {
    const scene = threeParties()
    const call = scene.call(1, ['g', 'l'])
    const other = scene.call(1, ['g'])
    scene.take()
    const error = new StatewireError('ERR_PEER_DRAINED', 'l is drained')
    scene.setup.removePeer('l', error)
    expect([call.error, other.error]).toEqual([error, null])
    expect(scene.take()).toEqual(['g:0 Refuse k=1 withdrawn 0', "g:0 Want k=2 call=4 count=1 name=''"])
    expectError('ERR_UNKNOWN_PEER', () => scene.call(1, ['g', 'l']))
  })
})
