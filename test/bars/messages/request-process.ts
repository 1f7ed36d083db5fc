/**
 * The peer of B4 that is killed: it tells its parent of each handler that begins. Owns the process.
 * Independent of the verdict.
 */
import { createNetwork, Identity } from '../../../index.ts'

process.on('message', ({ pem, peer }: { pem: string; peer: { id: string; urls: string } }) => {
  const network = createNetwork({
    identity: Identity.fromPem(pem),
    peers: [peer],
    limits: { backoffMinMs: 1, backoffMaxMs: 50 },
  })
  network.onRequest('n', async ({ bytes }) => {
    // In the pipe to the parent before anything is answered.
    await new Promise<void>((resolve) => process.send?.(bytes.readUInt32LE(), () => resolve()))
    return bytes
  })
  void network.ready({ peers: 'all' }).then(() => process.send?.('ready'))
})
