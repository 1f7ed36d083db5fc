/**
 * Owns: the answer to the built-in request for the services of a peer: what it has, and checking what a peer sent.
 * Independent of: how requests travel.
 */
import { formatValue } from '../../codec/format-value.ts'
import type { MethodFigures } from './call-figures.ts'
import { ServiceValidationError } from './define-service.ts'

/** A service that a peer serves. */
export interface ServiceInfo {
  readonly name: string
  readonly version: string
  readonly methods: readonly MethodFigures[]
}

/**
 * Checks the answer of a peer. What a later version adds is left out.
 * @throws ServiceValidationError for the first field that is wrong
 */
export function serviceListOf(answer: unknown, where: string): readonly ServiceInfo[] {
  const reader = new Reader(where)
  return reader.list(answer, 'output').map((service, index): ServiceInfo => {
    const at = `output[${index}]`
    const { name, version, methods } = reader.object(service, at)
    return {
      name: reader.text(name, `${at}.name`),
      version: reader.text(version, `${at}.version`),
      methods: reader
        .list(methods, `${at}.methods`)
        .map((method, place) => reader.figures(method, `${at}.methods[${place}]`)),
    }
  })
}

class Reader {
  readonly #where: string

  constructor(where: string) {
    this.#where = where
  }

  figures(value: unknown, field: string): MethodFigures {
    const { name, calls, errors, meanMs, p99Ms } = this.object(value, field)
    return {
      name: this.text(name, `${field}.name`),
      calls: this.count(calls, `${field}.calls`),
      errors: this.count(errors, `${field}.errors`),
      meanMs: this.timeMs(meanMs, `${field}.meanMs`),
      p99Ms: this.timeMs(p99Ms, `${field}.p99Ms`),
    }
  }

  list(value: unknown, field: string): readonly unknown[] {
    return Array.isArray(value) ? value : this.#wrong(field, 'a list', value)
  }

  object(value: unknown, field: string): Readonly<Record<string, unknown>> {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : this.#wrong(field, 'an object', value)
  }

  text(value: unknown, field: string): string {
    return typeof value === 'string' ? value : this.#wrong(field, 'a text', value)
  }

  count(value: unknown, field: string): number {
    const isCount = Number.isSafeInteger(value) && (value as number) >= 0
    return isCount ? (value as number) : this.#wrong(field, 'a whole number from 0', value)
  }

  timeMs(value: unknown, field: string): number | null {
    const isTime = value === null || (Number.isFinite(value) && (value as number) >= 0)
    return isTime ? (value as number | null) : this.#wrong(field, 'null or a number from 0', value)
  }

  #wrong(field: string, expected: string, value: unknown): never {
    throw new ServiceValidationError(this.#where, [
      { field, message: `must be ${expected}, got ${formatValue(value)}` },
    ])
  }
}
