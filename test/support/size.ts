/**
 * Owns: how large a test is: small in `npm test`, full in `npm run test:all`.
 * Independent of: what is counted. A test that is slow even when small belongs in a `*.long.test.ts` file.
 */

/** `npm run test:all` runs vitest with `--mode all`. */
export const isFull = process.env['MODE'] === 'all'

export function sized(small: number, full: number): number {
  return isFull ? full : small
}
