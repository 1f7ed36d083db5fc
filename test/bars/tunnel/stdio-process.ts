/**
 * `ssh -o ProxyCommand`: one connection of a tunnel over standard input and output. Owns the process.
 * Independent of: what ssh sends.
 */
import { createNetwork, Identity } from '../../../index.ts'
import { Tunnels } from '../../../tunnel/index.ts'

const [pem = '', id = '', urls = '', name = ''] = process.argv.slice(2)
const network = createNetwork({
  identity: Identity.fromPem(Buffer.from(pem, 'base64').toString()),
  peers: [{ id, urls }],
  limits: { backoffMinMs: 1, backoffMaxMs: 50, connectBurst: 1_000_000 },
})
const end = await new Tunnels(network).pipe({
  peer: id,
  name,
  input: process.stdin,
  output: process.stdout,
  timeoutMs: 120_000,
})
await network.shutdown()
process.exit(end.how === 'ended' ? 0 : 1)
