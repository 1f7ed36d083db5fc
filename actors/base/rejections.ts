/**
 * Owns: rejections of callbacks of the application that are asynchronous although they are not awaited.
 * Independent of: what the callbacks are for, and how a failure is reported.
 */

/** Reports the rejection of what a callback returned, if that is a promise: otherwise it would end the process. */
export function onRejection(result: unknown, report: (error: unknown) => void): void {
  if (typeof result === 'object' && result !== null && 'then' in result) Promise.resolve(result).catch(report)
}
