/**
 * Owns: replacing a method of a class by another one that may call it.
 * Independent of: any particular mutant.
 */
import type { NativeLane } from '../../../protocol/native/lanes/native-lane.ts'
import { NativeLink } from '../../../protocol/native/link/native-link.ts'

export interface Mutant {
  readonly sentence: string
  readonly plant: () => void
}

type Method<T, K extends keyof T> = T[K] extends (...args: infer Args) => infer Result
  ? (self: T, original: (...args: Args) => Result, ...args: Args) => Result
  : never

/** `replacement` gets the instance, the original method bound to it, and the arguments. */
export function replace<T extends object, K extends keyof T & string>(
  type: { readonly prototype: T },
  name: K,
  replacement: Method<T, K>,
): void {
  const original = type.prototype[name] as unknown as (...args: unknown[]) => unknown
  const planted = function (this: T, ...args: unknown[]): unknown {
    return (replacement as unknown as (...all: unknown[]) => unknown)(this, original.bind(this), ...args)
  }
  Object.defineProperty(type.prototype, name, { value: planted, configurable: true, writable: true })
}

export function replaceGetter<T extends object, K extends keyof T & string>(
  type: { readonly prototype: T },
  name: K,
  value: (self: T) => T[K],
): void {
  Object.defineProperty(type.prototype, name, {
    get(this: T): T[K] {
      return value(this)
    },
    configurable: true,
  })
}

/** Marks an object as writable that the types call read-only: the mutant writes to it. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The lanes that a link has had; its own list is private. */
export function lanesOf(): (state: NativeLink) => readonly NativeLane[] {
  const lanes = new WeakMap<NativeLink, NativeLane[]>()
  replace(NativeLink, 'openSession', (state, open, opened) => {
    const lane = open(opened)
    const known = lanes.get(state) ?? []
    lanes.set(state, known)
    known.push(lane)
    return lane
  })
  return (state) => (lanes.get(state) ?? []).filter(({ end }) => end === null)
}

/** Something that goes wrong whenever a link is resumed. */
export function onResume(bug: (state: NativeLink, lanes: readonly NativeLane[]) => void): void {
  const lanes = lanesOf()
  replace(NativeLink, 'established', (state, establish, agreed) => {
    const replay = establish(agreed)
    if (state.lastVerdict === 'RESUME') bug(state, lanes(state))
    return replay
  })
}
