/** Owns: what a command gets, and how it says that it was called wrongly. Refuses to know: any command. */

export interface Output {
  out(text: string): void
  err(text: string): void
}

/** The arguments make no sense: exit code 2, and the help. */
export class UsageError extends Error {}
