/**
 * Owns: what an implementation of a service is, and where its methods are found.
 * Independent of: schemas, and how calls travel.
 */
import { checkFunction, checkNames, checkObject } from '../base/checks.ts'
import type { RequestContext } from '../messaging/request-handlers.ts'
import type { Methods, ServiceDefinition } from './define-service.ts'
import type { InputOf, OutputOf } from './standard-schema.ts'

/** What an implementation gets beside the input. */
export type ServiceContext = Pick<RequestContext, 'peer' | 'headers' | 'signal' | 'deadline'>

/**
 * One function for each method: it gets the checked input, and returns what the output schema takes. An object, or an
 * instance of a class: `this` is the implementation.
 */
export type Implementation<M extends Methods> = {
  readonly [Name in keyof M]: (
    input: OutputOf<M[Name]['input']>,
    context: ServiceContext,
  ) => InputOf<M[Name]['output']> | Promise<InputOf<M[Name]['output']>>
}

export type MethodFunction = (input: unknown, context: ServiceContext) => unknown

/**
 * Returns the function of each method, bound to the implementation. They are its own properties or those of its
 * classes; what every object has, such as `toString`, is none of them.
 * @throws StatewireError ERR_INVALID_OPTION
 */
export function functionsOf(
  { name, methods }: ServiceDefinition,
  implementation: unknown,
): ReadonlyMap<string, MethodFunction> {
  const object = checkObject(implementation, `the implementation of ${name}`)
  const names = Object.keys(methods)
  // An instance of a class may have more than the methods; in a plain object, another name is misspelt.
  const prototype = prototypeOf(object)
  if (prototype === null || isRoot(prototype)) checkNames(object, names, `a method of ${name}`)
  return new Map(
    names.map((method) => {
      const value = isMethod(object, method) ? object[method] : undefined
      checkFunction(value, `${name}.${method}`)
      return [method, (value as MethodFunction).bind(object)]
    }),
  )
}

function isMethod(object: object, method: string): boolean {
  if (Object.hasOwn(object, method)) return true
  // The constructor of a class is the class.
  if (method === 'constructor') return false
  for (let holder = prototypeOf(object); holder !== null && !isRoot(holder); holder = prototypeOf(holder))
    if (Object.hasOwn(holder, method)) return true
  return false
}

/** Object.prototype, of any realm. */
function isRoot(prototype: object): boolean {
  return prototypeOf(prototype) === null
}

function prototypeOf(object: object): object | null {
  return Object.getPrototypeOf(object) as object | null
}
