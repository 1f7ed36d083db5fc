/**
 * Owns: what the receiver of examples/send-file keeps for streams that never reach it. Independent of: networks.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Screen } from '../../examples/send-file/progress.ts'
import { Receiver } from '../../examples/send-file/receiver.ts'

let dir = ''
let screen: Screen
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'sw-send-file-'))
  screen = new Screen()
})
afterEach(() => {
  screen.close()
  rmSync(dir, { recursive: true })
})

const opening = Buffer.from(
  JSON.stringify({ name: 'x', size: 3, offset: 0, prefix: createHash('sha256').digest('hex') }),
)

it.each(['before', 'after'])(
  'a stream whose opener gives up %s the decision leaves the part free, and nothing open',
  async (when) => {
    const receiver = new Receiver(dir, screen)
    await receiver.offset('peer', opening, new AbortController().signal)
    const controller = new AbortController()
    if (when === 'before') controller.abort()
    const { handle } = await receiver.permit('peer', opening, controller.signal)
    controller.abort()
    await expect(handle.stat()).rejects.toMatchObject({ code: 'EBADF' })
    const again = await receiver.permit('peer', opening, new AbortController().signal)
    await again.handle.close()
    expect(readdirSync(dir)).toEqual(['x.part'])
  },
)

it('a part is opened for one stream at a time', async () => {
  const receiver = new Receiver(dir, screen)
  const { signal } = new AbortController()
  await receiver.offset('peer', opening, signal)
  const { handle } = await receiver.permit('peer', opening, signal)
  await expect(receiver.permit('peer', opening, signal)).rejects.toMatchObject({ code: 'stale' })
  await receiver.offset('other', opening, signal).then(
    () => expect.unreachable(),
    (error: unknown) => expect(error).toMatchObject({ code: 'busy' }),
  )
  await handle.close()
})
