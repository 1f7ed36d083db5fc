/**
 * Owns: the live table of peers, and that memory and links follow it.
 * Independent of: how a peer connects once it is in the table.
 */
import { describe, expect, it } from 'vitest'
import { BaseLinks } from '../../actors/link/base-links.ts'
import { systemEnvironment } from '../../actors/config/system-environment.ts'
import { Identity } from '../../actors/index.ts'
import { createLinkStates } from '../../actors/link/link-states.ts'
import { resolveOptions } from '../../actors/config/options.ts'
import type { ResolvedPeer } from '../../actors/config/options.ts'
import { PeerTable } from '../../actors/config/peer-table.ts'
import { Services } from '../../actors/network/services.ts'
import { nativeDialect } from '../../protocol/native/link/native-dialect.ts'
import { NodeMemory } from '../../protocol/native/memory/node-memory.ts'

const mib = 1024 * 1024
const peer = (): ResolvedPeer => ({
  id: Identity.generate().id,
  role: 'acceptor',
  addresses: [],
  connect: 'always',
  desired: 'wanted',
})

describe('the table of peers', () => {
  it('the peer table refuses a peer that is already in it, and reports whether a removed one was there', () => {
    const alice = peer()
    const table = new PeerTable([alice])
    expect(() => table.add(alice)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }))
    expect([table.remove(alice.id), table.remove(alice.id), table.size]).toEqual([true, false, 0])
  })

  it('a refused peer is removed again from the listeners that had accepted it', () => {
    const table = new PeerTable([])
    const calls: string[] = []
    table.onChange({ added: () => void calls.push('added'), removed: () => void calls.push('removed') })
    table.onChange({
      added: () => {
        throw new Error('no room')
      },
      removed: () => void calls.push('removed from the one that refused'),
    })
    expect(() => table.add(peer())).toThrow('no room')
    expect([calls, table.size]).toEqual([['added', 'removed'], 0])
  })

  it('a removed listener of the peer table is not called any more', () => {
    const table = new PeerTable([])
    const seen: string[] = []
    const stop = table.onChange({ added: ({ id }) => void seen.push(id) })
    const alice = peer()
    table.add(alice)
    stop()
    table.add(peer())
    expect(seen).toEqual([alice.id])
  })
})

describe('a peer that is added to a running network', () => {
  const own = Identity.generate()
  const services = (memoryBudgetBytes: number, peers: number): Services => {
    const config = {
      identity: own,
      listen: 'tls://127.0.0.1:0',
      memoryBudgetBytes,
      peers: Array.from({ length: peers }, () => ({ id: Identity.generate().id })),
    }
    const options = resolveOptions(config)
    return new Services(systemEnvironment(), options, new PeerTable(options.peers))
  }

  it('adding a peer shrinks the memory shares of the others as far as needed; removing it restores them', () => {
    const { memory, peers } = services(mib, 2)
    expect(memory.shareBytes).toBe(mib / 4)
    const added = [peer(), peer()]
    for (const each of added) peers.add(each)
    expect(memory.shareBytes).toBe(mib / 8)
    for (const { id } of added) peers.remove(id)
    expect(memory.shareBytes).toBe(mib / 4)
  })

  it('a peer is refused with ERR_MEMORY_BUDGET, without effect, if the budget leaves less than 64 KiB per link', () => {
    const { memory, peers, baseLinks } = services(mib, 16)
    const late = peer()
    expect(() => peers.add(late)).toThrow(expect.objectContaining({ code: 'ERR_MEMORY_BUDGET' }))
    expect([peers.size, baseLinks.of(late.id), memory.shareBytes]).toEqual([16, [], mib / 32])
  })

  it('a peer that is added has links from then on, which are closed when it is removed', () => {
    const options = resolveOptions({ identity: own, listen: 'tls://127.0.0.1:0', connectionParallelism: 2, peers: [] })
    const peers = new PeerTable([])
    const links = new BaseLinks(
      options,
      peers,
      createLinkStates({
        environment: systemEnvironment(),
        options,
        peers,
        dialect: nativeDialect,
        memory: new NodeMemory(),
        emit() {},
      }),
    )
    const late = peer()
    peers.add(late)
    const states = links.of(late.id).map(({ state }) => state)
    expect(states).toHaveLength(2)
    peers.remove(late.id)
    expect(links.of(late.id)).toEqual([])
    expect(states.map(({ end }) => (end as { code?: string } | null)?.code)).toEqual([
      'ERR_UNKNOWN_PEER',
      'ERR_UNKNOWN_PEER',
    ])
  })

  it('memory that links hold beyond a reduced share counts against the pool', () => {
    const memory = new NodeMemory(2 * mib, 1)
    const link = memory.open()
    expect(link.reserveReplay(200 * 1024)).toBe(true)
    expect(link.pooledBytes).toBe(0)
    memory.setLinks(16)
    expect(link.pooledBytes).toBe(200 * 1024 - memory.shareBytes)
    memory.invariants()
    memory.setLinks(1)
    expect(link.pooledBytes).toBe(0)
    memory.invariants()
    link.close()
    expect(memory.usedBytes).toBe(0)
  })
})
