/**
 * Owns: the description of a service: its name, its version, and the schemas of its methods; and checking values
 * against them.
 * Independent of: how calls travel.
 */
import { StatewireError } from '../../codec/errors.ts'
import { formatValue } from '../../codec/format-value.ts'
import { nameLengthBytesMax } from '../../codec/message-frames.ts'
import { checkFunction, checkNames, checkObject, invalid } from '../base/checks.ts'
import { reservedPrefix } from '../messaging/content.ts'
import type { SchemaIssue, StandardSchema } from './standard-schema.ts'

export interface MethodDefinition {
  /** What callers pass in. */
  readonly input: StandardSchema<unknown, unknown>
  /** What the implementation returns. */
  readonly output: StandardSchema<unknown, unknown>
}

export type Methods = Readonly<Record<string, MethodDefinition>>

/** A service that both sides know: made by {@link defineService}. */
export interface ServiceDefinition<M extends Methods = Methods> {
  readonly name: string
  /** `major.minor.patch`. Client and server must have the same major version. */
  readonly version: string
  readonly methods: M
}

const namePattern = /^[A-Za-z][\w-]*(\.[A-Za-z][\w-]*)*$/
const methodPattern = /^[A-Za-z]\w*$/
const versionPattern = /^\d+\.\d+\.\d+$/

/**
 * Describes a service. Both sides use the same description, usually from a shared module; nothing is generated.
 *
 * ```ts
 * const blocks = defineService({
 *   name: 'blocks',
 *   version: '1.0.0',
 *   methods: { get: { input: z.object({ height: z.number() }), output: z.object({ hash: z.string() }) } },
 * })
 * ```
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function defineService<const M extends Methods>(definition: ServiceDefinition<M>): ServiceDefinition<M> {
  checkNames(checkObject(definition, 'a service'), ['name', 'version', 'methods'], 'a part of a service')
  const { name, version, methods } = definition as { name: unknown; version: unknown; methods: unknown }
  if (typeof name !== 'string' || !namePattern.test(name) || name.startsWith(reservedPrefix))
    throw invalid(`the name of a service must be words of letters, digits, _ and - with dots, got ${formatValue(name)}`)
  if (typeof version !== 'string' || !versionPattern.test(version))
    throw invalid(`the version of service ${name} must be like 1.0.0, got ${formatValue(version)}`)
  checkObject(methods, `the methods of service ${name}`)
  for (const [method, schemas] of Object.entries(definition.methods)) {
    if (!methodPattern.test(method) || method === 'then')
      throw invalid(`the method ${formatValue(method)} of service ${name} must be a word that begins with a letter`)
    if (Buffer.byteLength(requestName(name, method)) > nameLengthBytesMax)
      throw invalid(`${name}.${method} is longer than ${nameLengthBytesMax} bytes`)
    checkNames(checkObject(schemas, `${name}.${method}`), ['input', 'output'], 'a part of a method')
    for (const part of ['input', 'output'] as const) checkSchema(schemas[part], `${name}.${method}.${part}`)
  }
  return Object.freeze({ name, version, methods: definition.methods })
}

function checkSchema(schema: unknown, where: string): void {
  const standard = (schema as Partial<StandardSchema> | null | undefined)?.['~standard']
  if (standard === undefined || standard.version !== 1)
    throw invalid(
      `${where} must be a schema with the interface Standard Schema 1 (of zod, valibot or arktype, for example), got ` +
        formatValue(schema),
    )
  checkFunction(standard.validate, `the validate of ${where}`)
}

/** The name under which calls of a method travel. */
export function requestName(service: string, method: string): string {
  return `${service}.${method}`
}

/** One field that a schema refused. */
export interface FieldIssue {
  /** Such as `input.height` or `output.rows[3].id`. */
  readonly field: string
  readonly message: string
}

/** A value does not fit its schema. `issues` names each field. */
export class ServiceValidationError extends StatewireError {
  readonly issues: readonly FieldIssue[]
  constructor(where: string, issues: readonly FieldIssue[]) {
    const listed = issues.slice(0, 10).map(({ field, message }) => `${field}: ${message}`)
    super('ERR_SERVICE_VALUE', `${where}: ${listed.join('; ')}${issues.length > 10 ? '; …' : ''}`)
    this.issues = issues
  }
}

/** @throws ServiceValidationError; what the validator throws */
export async function validated(
  schema: StandardSchema<unknown, unknown>,
  value: unknown,
  where: string,
  part: 'input' | 'output',
): Promise<unknown> {
  const answer = schema['~standard'].validate(value)
  const result = answer instanceof Promise ? await answer : answer
  if (result.issues === undefined) return result.value
  throw new ServiceValidationError(
    where,
    result.issues.map((issue) => fieldIssue(part, issue)),
  )
}

function fieldIssue(part: string, { message, path = [] }: SchemaIssue): FieldIssue {
  let field = part
  for (const step of path) {
    const key = typeof step === 'object' ? step.key : step
    field += typeof key === 'number' ? `[${key}]` : `.${String(key)}`
  }
  return { field, message }
}
