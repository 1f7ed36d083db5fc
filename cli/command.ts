/**
 * Owns: the interface of a command, and how it reports wrong usage. Independent of: any command.
 */

export interface Output {
  out(text: string): void
  err(text: string): void
}

/** Invalid arguments: exit code 2, and the help. */
export class UsageError extends Error {}
