/**
 * Owns: that a wrong environment, observer or actor reference is refused by an error that names it.
 * Independent of: calls on a running network (live-*.test.ts).
 */
import { describe, it } from 'vitest'
import { createNetwork, Network, supervisor } from '../../actors/index.ts'
import { formatValue } from '../../codec/format-value.ts'
import { createActor } from '../../machines/xstate.ts'
import { VirtualClock } from '../../testing/index.ts'
import { native, network, refuses, wrongTypes } from './rows.ts'
import type { Row } from './rows.ts'

describe('the runtime of a network', () => {
  const clock = new VirtualClock()
  const inside = (environment: unknown): (() => unknown) => network(native, { environment })
  it.each<Row>([
    ...[null, 7, 'x', []].map((runtime): Row => [
      `${formatValue(runtime)} as the second argument of createNetwork`,
      network(native, runtime),
      'ERR_INVALID_OPTION',
      'the second argument of createNetwork must be an object',
      formatValue(runtime),
    ]),
    [
      'a runtime option name close to a known one',
      network(native, { enviroment: {} }),
      'ERR_INVALID_OPTION',
      'enviroment is not an option of the runtime (did you mean environment?)',
    ],
    ...[null, 7, []].map((value): Row => [
      `${formatValue(value)} as the environment`,
      inside(value),
      'ERR_INVALID_OPTION',
      `environment must be an object, got ${formatValue(value)}`,
    ]),
    [
      'a name of a part of the environment close to a known one',
      inside({ clok: clock }),
      'ERR_INVALID_OPTION',
      'environment.clok is not a part of the environment (did you mean clock?)',
    ],
    ...['clock', 'random', 'transport', 'log'].flatMap((part): Row[] => [
      [
        `an environment whose ${part} is null`,
        inside({ [part]: null }),
        'ERR_INVALID_OPTION',
        `environment.${part} must be an object, got null`,
      ],
      [
        `an environment whose ${part} has no functions`,
        inside({ [part]: {} }),
        'ERR_INVALID_OPTION',
        `environment.${part}.`,
        'must be a function, got undefined',
      ],
    ]),
    [
      'a transport without a count of open handles',
      inside({ transport: { dial() {}, listen() {} } }),
      'ERR_INVALID_OPTION',
      'environment.transport.openHandles must be a number, got undefined',
    ],
    ...[null, 7, {}, 'x'].map((inspect): Row => [
      `${formatValue(inspect)} as inspect`,
      network(native, { inspect }),
      'ERR_INVALID_OPTION',
      'inspect must be a function',
      formatValue(inspect),
    ]),
    ...[undefined, null, 7, { config: native, environment: {}, limits: {} }].map((input): Row => [
      `${formatValue(input)} as the input of the supervisor`,
      () => Network.from(createActor(supervisor, { input } as never)),
      'ERR_INVALID_OPTION',
      'of the supervisor',
    ]),
    ...[...wrongTypes, {}].map((ref): Row => [
      `${formatValue(ref)} as the reference of a network`,
      () => Network.from(ref),
      'ERR_NOT_A_NETWORK',
      'statewire supervisor',
    ]),
  ])('refuses %s', refuses)

  it('uses the real clock and log where the given ones are undefined', async () => {
    const real = createNetwork(native, { environment: { clock: undefined, log: undefined } as never })
    await real.ready()
    await real.shutdown()
  })
})
