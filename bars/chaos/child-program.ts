/**
 * Owns: where the child programs of these bars are, whether this runs from the sources or compiled.
 * Refuses to know: what they do.
 */
import { fileURLToPath } from 'node:url'

/** Node 20 runs no TypeScript: from the sources, the compiled sister of a program is started. */
export function programPath(name: string): string {
  const isCompiled = import.meta.url.endsWith('.js')
  return fileURLToPath(new URL(isCompiled ? `${name}.js` : `../../build/bars/chaos/${name}.js`, import.meta.url))
}
