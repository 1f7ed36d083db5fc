/**
 * Owns: serving typed services, calling them, and saying which are served.
 * Independent of: how requests travel (../messaging/).
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { checkMsgPack, decodeCheckedMsgPack } from '../../codec/msgpack-decode.ts'
import { encodeMsgPack } from '../../codec/msgpack-encode.ts'
import type { MsgPackData } from '../../codec/values.ts'
import { checkCall, checkFunction, checkNames, checkObject } from '../base/checks.ts'
import type { CallOptions } from '../base/bounded.ts'
import type { PeerRef } from '../base/peer-ref.ts'
import { reservedPrefix } from '../messaging/content.ts'
import type { Headers } from '../messaging/content.ts'
import type { Messaging } from '../messaging/messaging.ts'
import type { RequestContext, RequestHandlerOptions } from '../messaging/request-handlers.ts'
import { CallFigures } from './call-figures.ts'
import type { MethodFigures } from './call-figures.ts'
import { defineService, requestName, ServiceValidationError, validated } from './define-service.ts'
import type { MethodDefinition, Methods, ServiceDefinition } from './define-service.ts'
import type { InputOf, OutputOf } from './standard-schema.ts'

/** The built-in request that lists the services of a peer. */
const listName = `${reservedPrefix}services`
const versionHeader = 'service-version'

/** What an implementation gets beside the input. */
export type ServiceContext = Pick<RequestContext, 'peer' | 'headers' | 'signal' | 'deadline'>

/** One function for each method: it gets the checked input, and returns what the output schema accepts. */
export type Implementation<M extends Methods> = {
  readonly [Name in keyof M]: (
    input: OutputOf<M[Name]['input']>,
    context: ServiceContext,
  ) => InputOf<M[Name]['output']> | Promise<InputOf<M[Name]['output']>>
}

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

/** A service that a peer serves. */
export interface ServiceInfo {
  readonly name: string
  readonly version: string
  readonly methods: readonly MethodFigures[]
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
    const functions = checkObject(implementation, `the implementation of ${name}`)
    checkNames(functions, Object.keys(methods), `a method of ${name}`)
    for (const method of Object.keys(methods)) checkFunction(functions[method], `${name}.${method}`)
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
        const run = functions[method] as (input: unknown, context: ServiceContext) => unknown
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
    await validated(schemas.input, input, where, 'input')
    const { bytes } = await this.#messaging.request(peer, encode(input, `the input of ${where}`), {
      ...options,
      name: where,
      headers: { ...options?.headers, [versionHeader]: version },
    })
    return validated(schemas.output, decode(bytes), where, 'output')
  }

  async services(peer: PeerRef, options?: CallOptions): Promise<readonly ServiceInfo[]> {
    checkCall(options, 'services')
    const { bytes } = await this.#messaging.begin(peer, '', { ...options, name: listName }, true).promise
    return decode(bytes) as unknown as readonly ServiceInfo[]
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

/** An error of the service itself reaches the caller with its code. */
class ServiceFailure extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

async function answer(
  { name, version }: ServiceDefinition,
  method: string,
  schemas: MethodDefinition,
  run: (input: unknown, context: ServiceContext) => unknown,
  request: RequestContext,
): Promise<Buffer> {
  const where = requestName(name, method)
  const asked = request.headers[versionHeader] ?? ''
  if (majorOf(asked) !== majorOf(version))
    throw new ServiceFailure(
      'service-version',
      `${name} is served in version ${version}, and was called in ${asked === '' ? 'no version' : asked}: the major ` +
        'versions must be the same',
    )
  let input: unknown
  try {
    input = await validated(schemas.input, decode(request.bytes), where, 'input')
  } catch (error) {
    if (!(error instanceof ServiceValidationError)) throw error
    throw new ServiceFailure('invalid-input', error.message)
  }
  const output = await run(input, request)
  try {
    return encode(await validated(schemas.output, output, where, 'output'), `the output of ${where}`)
  } catch (error) {
    if (!(error instanceof ServiceValidationError)) throw error
    throw new ServiceFailure('invalid-output', error.message)
  }
}

function majorOf(version: string): string {
  return version.split('.')[0] ?? ''
}

/** @throws StatewireError ERR_INVALID_VALUE for a value that MessagePack does not have */
function encode(value: unknown, what: string): Buffer {
  if (value === undefined) return encodeMsgPack(null)
  try {
    return encodeMsgPack(value as MsgPackData)
  } catch (error) {
    throw invalidValue(what, error)
  }
}

function invalidValue(what: string, error: unknown): StatewireError {
  const message = error instanceof Error ? error.message.replace('MsgPack.value', what) : formatValue(error)
  return new StatewireError('ERR_INVALID_VALUE', message, { cause: error })
}

/** @throws ProtocolError for bytes that are not MessagePack */
function decode(bytes: Buffer): unknown {
  checkMsgPack(bytes, 0, bytes.length)
  return decodeCheckedMsgPack(bytes, 0)
}
