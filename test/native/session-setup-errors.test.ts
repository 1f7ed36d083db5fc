/**
 * Owns: the frames of session set-up that are protocol errors, and which session ids exist on a link.
 * Independent of: how a link ends its epoch then.
 */
import { describe, expect, test } from 'vitest'
import type { SetupFrame } from '../../codec/setup-frames.ts'
import { SessionIds } from '../../protocol/native/setup/session-ids.ts'
import { openWantsMax } from '../../protocol/native/setup/setup-peer.ts'
import { expectError, expectProtocolError } from '../codec/harness.ts'
import { agree, made, make, refuse, SetupScene, want } from './setup-scene.ts'

const manyWants = [...Array(openWantsMax).keys()].map((index) => want(100 + index, 9n, 1, `call ${index}`))

describe('frames of session set-up that break the protocol', () => {
  test.each<[string, string, 'g' | 'l', readonly SetupFrame[], number, SetupFrame]>([
    ['a Want of the side with the greater id', 'ERR_SETUP_FRAME', 'g', [], 0, want(5, 9n, 1)],
    ['a Make of the side with the lesser id', 'ERR_SETUP_FRAME', 'l', [], 0, make(5, 9n, 0)],
    ['a Made of the side with the greater id', 'ERR_SETUP_FRAME', 'g', [], 0, made(1)],
    ['a Want on another link than link 0', 'ERR_SETUP_FRAME', 'l', [], 1, want(5, 9n, 1)],
    ['an Agree on another link than link 0', 'ERR_SETUP_FRAME', 'l', [], 1, agree(5, 9n)],
    ['a Make on a link that the call does not use', 'ERR_SETUP_FRAME', 'g', [], 2, make(1, 9n, 0)],
    ['a Made on a link that the call does not use', 'ERR_SETUP_FRAME', 'l', [want(5, 9n, 2)], 2, made(5)],
    ['a second open Want of a name', 'ERR_WANT_REPEATED', 'l', [want(5, 9n, 1, 'x')], 0, want(6, 9n, 1, 'x')],
    ['a Want with the number of an open one', 'ERR_WANT_REPEATED', 'l', [want(5, 9n, 1, 'x')], 0, want(5, 9n, 1, 'y')],
    ['a Want with the number of an attempt', 'ERR_WANT_REPEATED', 'l', [want(5, 9n, 2)], 0, want(5, 9n, 1, 'y')],
    ['more than 64 open Wants', 'ERR_WANT_LIMIT', 'l', manyWants, 0, want(5, 9n, 1, 'x')],
    ['a second Make of one number on one link', 'ERR_MAKE_REPEATED', 'g', [make(1, 9n, 0)], 0, make(1, 9n, 8)],
    ['a Make with another call id', 'ERR_MAKE_REPEATED', 'g', [make(1, 9n, 0)], 1, make(1, 10n, 0)],
    ['a second Made of one number on one link', 'ERR_MAKE_REPEATED', 'l', [want(5, 9n, 2), made(5)], 0, made(5)],
    ['a Make whose ids are not above those before', 'ERR_MAKE_IDS', 'g', [make(7, 9n, 4)], 0, make(1, 9n, 4)],
    ['a Make whose ids end above 0x3fffffff', 'ERR_MAKE_IDS', 'g', [], 0, make(1, 9n, 0x4000_0000)],
  ])('%s is a protocol error and changes nothing', (_, code, peer, before, link, frame) => {
    const scene = new SetupScene({ greater: ['g'], lesser: ['l'], links: 3 })
    for (const each of ['g', 'l']) for (const index of [0, 1, 2]) scene.linkUp(each, index)
    scene.call(2, ['g'])
    scene.call(2, ['l'])
    for (const each of before) scene.receive(peer, 0, each)
    scene.take()
    const lanes = scene.lanes.length
    expectProtocolError(code as 'ERR_SETUP_FRAME', () => scene.receive(peer, link, frame))
    expect([scene.take(), scene.lanes.length]).toEqual([[], lanes])
  })

  test('64 open Wants are allowed, and a k that jumps', () => {
    const scene = new SetupScene({ lesser: ['l'] })
    scene.linkUp('l')
    for (const frame of manyWants) scene.receive('l', 0, frame)
    scene.receive('l', 0, refuse(100, 'withdrawn'))
    scene.receive('l', 0, want(5_000, 9n, 1, 'x'))
    expect(scene.take()).toEqual([])
  })
})

describe('session ids of a link', () => {
  test('frames for ids that were made or skipped are for a session that is over; above them nothing is made', () => {
    const ids = new SessionIds()
    expect(ids.placeOf(0)).toBe('unmade')
    ids.make(4, 3)
    expect([0, 3, 4, 6, 7].map((id) => ids.placeOf(id))).toEqual(['over', 'over', 'over', 'over', 'unmade'])
  })

  test('a refused Make of unknown length covers as many ids as a count allows, until the next Make', () => {
    const ids = new SessionIds()
    ids.make(4, null)
    expect([3, 4, 65_538, 65_539].map((id) => ids.placeOf(id))).toEqual(['over', 'refused', 'refused', 'unmade'])
    expectProtocolError('ERR_MAKE_IDS', () => ids.make(4, 1))
    ids.make(6, 2)
    expect([4, 6, 7, 8].map((id) => ids.placeOf(id))).toEqual(['over', 'over', 'over', 'unmade'])
    ids.make(0x3fff_ffff, null)
    expect([0x3fff_ffff, 0x4000_0000].map((id) => ids.placeOf(id))).toEqual(['refused', 'unmade'])
  })

  test('a Make that is refused for a limit grants nothing on its ids', () => {
    const ids = new SessionIds()
    ids.make(0, 2)
    ids.refuse(0)
    expect([0, 1, 2].map((id) => ids.placeOf(id))).toEqual(['refused', 'refused', 'unmade'])
  })

  test('ids end at 0x40000000', () => {
    const ids = new SessionIds()
    expect(ids.take(0x3fff_fffe)).toBe(0)
    expect([ids.has(2), ids.has(3)]).toEqual([true, false])
    expectError('ERR_SESSION_IDS_USED_UP', () => ids.take(3))
    expect([ids.take(2), ids.placeOf(0x3fff_ffff)]).toEqual([0x3fff_fffe, 'over'])
  })
})
