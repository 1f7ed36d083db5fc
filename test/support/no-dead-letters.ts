/**
 * Owns: that no test sends an event to an actor that has stopped. XState's development build, which tests run with,
 * warns of each; here such a warning fails the test.
 * Independent of: what is tested.
 */
import { afterEach, expect } from 'vitest'

const deadLetters: string[] = []
const { warn } = console

console.warn = (...args: unknown[]): void => {
  if (String(args[0]).includes('was sent to stopped actor')) deadLetters.push(String(args[0]))
  else warn(...args)
}

afterEach(() => {
  expect(deadLetters.splice(0)).toEqual([])
})
