/**
 * Owns: the paths of the child programs of these checks, from sources or compiled.
 * Independent of: what they do.
 */
import { fileURLToPath } from 'node:url'

/** Node 20 cannot run TypeScript: from sources, the compiled version of a program is started. */
export function programPath(name: string): string {
  const isCompiled = import.meta.url.endsWith('.js')
  return fileURLToPath(
    new URL(isCompiled ? `${name}.js` : `../../../build/test/bars/chaos/${name}.js`, import.meta.url),
  )
}
