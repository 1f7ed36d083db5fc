/**
 * The child process that reads all of its sessions but one. Owns: echoing on the first session, reading the second, and
 * leaving the third unread. Independent of: the effect on the sender.
 */
import { createNetwork, Identity } from '../../../actors/index.ts'

const { pem, peer, url } = JSON.parse(process.argv[2] ?? '{}') as { pem: string; peer: string; url: string }
const network = createNetwork({ identity: Identity.fromPem(pem), peers: [{ id: peer, urls: url }] })
process.on('disconnect', () => process.exit(0))
process.on('message', () => process.exit(0))
const [echo, sink] = await network.makeSessions({ count: 3 })
echo?.handle(peer, (value) => void echo.send(peer, value))
sink?.handle(peer, () => {}, { borrow: true })
