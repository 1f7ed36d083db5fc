/**
 * Owns: serving typed services, calling them, and saying which are served.
 * Independent of: how requests travel (../messaging/).
 */
import { ProtocolError, StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { checkMsgPack, decodeCheckedMsgPack } from '../../codec/msgpack-decode.ts'
import { encodeMsgPack } from '../../codec/msgpack-encode.ts'
import type { MsgPackData } from '../../codec/values.ts'
import { checkCall } from '../base/checks.ts'
import type { CallOptions } from '../base/bounded.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { reservedPrefix } from '../messaging/content.ts'
import type { Headers } from '../messaging/content.ts'
import type { Messaging } from '../messaging/messaging.ts'
import { CallerFault } from '../messaging/request-handlers.ts'
import type { RequestContext, RequestHandlerOptions } from '../messaging/request-handlers.ts'
import { CallFigures } from './call-figures.ts'
import { defineService, requestName, ServiceValidationError, validated } from './define-service.ts'
import type { MethodDefinition, Methods, ServiceDefinition } from './define-service.ts'
import { functionsOf } from './implementation.ts'
import type { Implementation, MethodFunction } from './implementation.ts'
import { serviceListOf } from './service-list.ts'
import type { ServiceInfo } from './service-list.ts'
import type { InputOf, OutputOf } from './standard-schema.ts'

/** The built-in request that lists the services of a peer. */
const listName = `${reservedPrefix}services`
const versionHeader = 'service-version'

export interface ServiceCallOptions extends CallOptions {
  readonly headers?: Headers | undefined
}

/** One function for each method. */
export type Client<M extends Methods> = {
  readonly [Name in keyof M]: (
    ...args: undefined extends InputOf<M[Name]['input']>
      ? [input?: InputOf<M[Name]['input']>, options?: ServiceCallOptions]
      : [input: InputOf<M[Name]['input']>, options?: ServiceCallOptions]
  ) => Promise<OutputOf<M[Name]['output']>>
}

interface Served {
  readonly definition: ServiceDefinition
  readonly figures: ReadonlyMap<string, CallFigures>
}

export class ServiceCalls {
  readonly #messaging: Messaging
  readonly #nowMs: () => number
  readonly #served = new Map<string, Served>()

  constructor(messaging: Messaging, nowMs: () => number) {
    this.#messaging = messaging
    this.#nowMs = nowMs
    messaging.requests.add(listName, () => encodeMsgPack(this.#list()), {}, true)
  }

  serve<M extends Methods>(
    service: ServiceDefinition<M>,
    implementation: Implementation<M>,
    options?: RequestHandlerOptions,
  ): () => void {
    this.#messaging.check('serve')
    const definition = defineService(service)
    checkCall(options, 'serve', ['concurrency'])
    const { name, methods } = definition
    const functions = functionsOf(definition, implementation)
    if (this.#served.has(name))
      throw new StatewireError('ERR_HANDLER_EXISTS', `service ${name} is served already; stop that first`)
    const figures = new Map(Object.keys(methods).map((method) => [method, new CallFigures(method)]))
    const removals: (() => void)[] = []
    const stop = (): void => {
      for (const remove of removals.splice(0)) remove()
      if (this.#served.get(name) === served) this.#served.delete(name)
    }
    const served: Served = { definition, figures }
    try {
      for (const [method, schemas] of Object.entries(methods) as [string, MethodDefinition][]) {
        const run = functions.get(method)!
        const handle = (request: RequestContext): Promise<Buffer> =>
          this.#measured(figures.get(method)!, () => answer(definition, method, schemas, run, request))
        removals.push(this.#messaging.requests.add(requestName(name, method), handle, options))
      }
    } catch (error) {
      stop()
      throw error
    }
    this.#served.set(name, served)
    return stop
  }

  async #measured(figures: CallFigures, run: () => Promise<Buffer>): Promise<Buffer> {
    const startedAtMs = this.#nowMs()
    let failed = true
    try {
      const bytes = await run()
      failed = false
      return bytes
    } finally {
      figures.add(this.#nowMs() - startedAtMs, failed)
    }
  }

  client<M extends Methods>(service: ServiceDefinition<M>, peer: PeerRef): Client<M> {
    this.#messaging.check('client')
    const { name, version, methods } = defineService(service)
    const calls = Object.entries(methods).map(([method, schemas]) => {
      const call = (input: unknown, options?: ServiceCallOptions): Promise<unknown> =>
        this.#call(peer, { name, version, method, schemas }, input, options)
      return [method, call] as const
    })
    return Object.freeze(Object.fromEntries(calls)) as Client<M>
  }

  async #call(
    peer: PeerRef,
    target: {
      readonly name: string
      readonly version: string
      readonly method: string
      readonly schemas: MethodDefinition
    },
    input: unknown,
    options: ServiceCallOptions | undefined,
  ): Promise<unknown> {
    const { name, version, method, schemas } = target
    const where = requestName(name, method)
    checkCall(options, where, ['signal', 'timeoutMs', 'headers'])
    // Encoded first: what is sent is the input as it is now, and not what its schema makes of it.
    const body = encode(input, `the input of ${where}`)
    await validated(schemas.input, input, where, 'input')
    const { bytes } = await this.#messaging.request(peer, body, {
      ...options,
      name: where,
      headers: { ...options?.headers, [versionHeader]: version },
    })
    return validated(schemas.output, decode(bytes, where, 'output'), where, 'output')
  }

  async services(peer: PeerRef, options?: CallOptions): Promise<readonly ServiceInfo[]> {
    checkCall(options, 'services')
    const { bytes } = await this.#messaging.begin(peer, '', { ...options, name: listName }, true).promise
    return serviceListOf(decode(bytes, listName, 'output'), listName)
  }

  #list(): MsgPackData {
    const infos = [...this.#served.values()].map(({ definition: { name, version }, figures }): ServiceInfo => ({
      name,
      version,
      methods: [...figures.values()].map((method) => method.figures),
    }))
    return infos as unknown as MsgPackData
  }
}

/** The method returned what cannot be sent. Its code reaches the caller. */
class InvalidOutput extends Error {
  readonly code = 'invalid-output'
}

async function answer(
  { name, version }: ServiceDefinition,
  method: string,
  schemas: MethodDefinition,
  run: MethodFunction,
  request: RequestContext,
): Promise<Buffer> {
  const where = requestName(name, method)
  const asked = request.headers[versionHeader] ?? ''
  if (majorOf(asked) !== majorOf(version))
    throw new CallerFault(
      'service-version',
      `${name} is served in version ${version}, and was called in ${asked === '' ? 'no version' : asked}: the major ` +
        'versions must be the same',
    )
  let input: unknown
  try {
    input = await validated(schemas.input, decode(request.bytes, where, 'input'), where, 'input')
  } catch (error) {
    if (!(error instanceof ServiceValidationError)) throw error
    throw new CallerFault('invalid-input', error.message)
  }
  const output = await run(input, request)
  try {
    // Encoded first: the caller gets what the method returned, and applies the conversions of its own schema.
    const body = encode(output, `the output of ${where}`)
    await validated(schemas.output, output, where, 'output')
    return body
  } catch (error) {
    if (!(error instanceof ServiceValidationError) && !(error instanceof UnfitValue)) throw error
    throw new InvalidOutput(error.message, { cause: error })
  }
}

function majorOf(version: string): string {
  return version.split('.')[0] ?? ''
}

/** A value that MessagePack does not have. */
class UnfitValue extends StatewireError {
  constructor(what: string, cause: unknown) {
    const message = cause instanceof Error ? cause.message.replace('MsgPack.value', what) : formatValue(cause)
    super('ERR_INVALID_VALUE', message, { cause })
  }
}

/**
 * No bytes are undefined, which MessagePack does not have.
 * @throws StatewireError ERR_INVALID_VALUE for a value that MessagePack does not have
 */
function encode(value: unknown, what: string): Buffer {
  if (value === undefined) return Buffer.alloc(0)
  try {
    return encodeMsgPack(value as MsgPackData)
  } catch (error) {
    throw new UnfitValue(what, error)
  }
}

/** @throws ServiceValidationError for bytes that are not MessagePack */
function decode(bytes: Buffer, where: string, part: 'input' | 'output'): unknown {
  if (bytes.length === 0) return undefined
  try {
    checkMsgPack(bytes, 0, bytes.length)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new ServiceValidationError(where, [{ field: part, message: `is not MessagePack: ${error.message}` }])
  }
  return decodeCheckedMsgPack(bytes, 0)
}
