/**
 * Owns: `createNetwork`: it checks the configuration, then creates the supervisor actor and its facade.
 * Independent of: what either of them does.
 */
import { createActor } from '../../machines/xstate.ts'
import type { InspectionEvent, Observer } from '../../machines/xstate.ts'
import { causeOf } from '../base/causes.ts'
import { onRejection } from '../base/rejections.ts'
import { resolveEnvironment } from '../base/environment-checks.ts'
import type { EnvironmentOption, Log } from '../base/environment.ts'
import { channelLog } from '../base/log.ts'
import { resolveOptions } from '../config/options.ts'
import type { ConfigOf, NetworkConfig } from '../config/options.ts'
import { checkRuntime } from '../config/runtime-options.ts'
import type { Identity } from '../tls/identity.ts'
import { Network } from './network.ts'
import type { Services } from './services.ts'
import { supervisor, supervisorServices } from './supervisor.ts'

export interface NetworkRuntimeOptions {
  readonly environment?: EnvironmentOption | undefined
  /**
   * Observes every actor of the network through XState's inspection. Errors that it throws are logged once and have no
   * other effect.
   */
  readonly inspect?: Observer<InspectionEvent> | ((event: InspectionEvent) => void) | undefined
}

/**
 * Creates a network and starts it in the next tick, so that listeners added immediately miss no event.
 *
 * ```ts
 * const network = createNetwork({ identity, listen: 'tls://0.0.0.0:7000', peers: [{ id, url }] })
 * await network.ready()
 * ```
 * @throws StatewireError ERR_INVALID_OPTION, ERR_INVALID_URL, ERR_INVALID_PEER_ID
 */
export function createNetwork(config: NetworkConfig, runtime?: NetworkRuntimeOptions): Network
// The compiler reports the error of the last overload, which names the configuration that was meant.
export function createNetwork<Id extends Identity | string>(
  config: ConfigOf<Id>,
  runtime?: NetworkRuntimeOptions,
): Network
export function createNetwork(config: NetworkConfig, runtime: NetworkRuntimeOptions = {}): Network {
  checkRuntime(runtime)
  const { inspect } = runtime
  const environment = resolveEnvironment(runtime.environment)
  // Checked here so that the caller gets the error. XState would turn it into an actor that has failed.
  resolveOptions(config)
  const ref = createActor(supervisor, {
    id: 'supervisor',
    input: { config, environment },
    ...(inspect === undefined ? {} : { inspect: catchingErrors(inspect, environment.log ?? channelLog) }),
  })
  const network = Network.from(ref)
  const services = supervisorServices(ref) as Services
  services.environment.clock.nextTick(() => ref.start())
  return network
}

/** XState calls an inspector on the stack of the sender, so an error thrown by it would end our actors. */
function catchingErrors(
  inspect: NonNullable<NetworkRuntimeOptions['inspect']>,
  log: Log,
): (event: InspectionEvent) => void {
  let hasFailed = false
  const report = (error: unknown): void => {
    if (hasFailed) return
    hasFailed = true
    log.write('error', 'inspector.threw', { cause: causeOf(error) })
  }
  return (event) => {
    try {
      onRejection(typeof inspect === 'function' ? inspect(event) : inspect.next?.(event), report)
    } catch (error) {
      report(error)
    }
  }
}
