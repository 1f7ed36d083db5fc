/**
 * Owns: what the signals that stop a program do: the first lets it end in order, the second ends it at once.
 * Independent of: what has to be ended.
 */

export const stopSignals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']
const secondSignalExitCode = 130

/** @returns a function that removes the handlers */
export function onSignals(first: () => void, signals: readonly NodeJS.Signals[] = stopSignals): () => void {
  let count = 0
  const listener = (): void => {
    if (++count === 1) first()
    else process.exit(secondSignalExitCode)
  }
  for (const signal of signals) process.on(signal, listener)
  return () => {
    for (const signal of signals) process.off(signal, listener)
  }
}
