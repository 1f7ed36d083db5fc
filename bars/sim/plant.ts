/**
 * Owns: how a method of a class is replaced by another that may call it.
 * Refuses to know: any particular bug.
 */
import type { NativeLane } from '../../protocol/native/native-lane.ts'
import { NativeLinkState } from '../../protocol/native/native-link-state.ts'

export interface Mutant {
  readonly sentence: string
  readonly plant: () => void
}

type Method<T, K extends keyof T> = T[K] extends (...args: infer Args) => infer Result ? (self: T, original: (...args: Args) => Result, ...args: Args) => Result : never

/** `replacement` gets the instance, the real method bound to it, and the arguments. */
export function replace<T extends object, K extends keyof T & string>(type: { readonly prototype: T }, name: K, replacement: Method<T, K>): void {
  const original = type.prototype[name] as unknown as (...args: unknown[]) => unknown
  const planted = function (this: T, ...args: unknown[]): unknown {
    return (replacement as unknown as (...all: unknown[]) => unknown)(this, original.bind(this), ...args)
  }
  Object.defineProperty(type.prototype, name, { value: planted, configurable: true, writable: true })
}

export function replaceGetter<T extends object, K extends keyof T & string>(type: { readonly prototype: T }, name: K, value: (self: T) => T[K]): void {
  Object.defineProperty(type.prototype, name, {
    get(this: T): T[K] {
      return value(this)
    },
    configurable: true,
  })
}

/** Of a thing that says it may not be written to: the bug does. */
export type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The lanes that a link has had, since its own list is its own. */
export function lanesOf(): (state: NativeLinkState) => readonly NativeLane[] {
  const lanes = new WeakMap<NativeLinkState, NativeLane[]>()
  replace(NativeLinkState, 'openLane', (state, open, id) => {
    const lane = open(id)
    const known = lanes.get(state) ?? []
    lanes.set(state, known)
    known.push(lane)
    return lane
  })
  return (state) => (lanes.get(state) ?? []).filter(({ end }) => end === null)
}

/** Something that goes wrong whenever a link is resumed. */
export function onResume(bug: (state: NativeLinkState, lanes: readonly NativeLane[]) => void): void {
  const lanes = lanesOf()
  replace(NativeLinkState, 'established', (state, establish, agreed) => {
    const replay = establish(agreed)
    if (state.lastVerdict === 'RESUME') bug(state, lanes(state))
    return replay
  })
}
