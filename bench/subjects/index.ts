/**
 * The list of subjects by name. Owns how a worker finds its subject. Each is loaded on demand, so that a worker process
 * holds one subject's code, and a library that is not installed only fails its own cells.
 * Independent of what a subject does.
 */
import type { Subject } from '../subject.ts'

const loaders: Record<string, () => Promise<Subject>> = {
  'raw-view': async () => (await import('./raw-view.ts')).rawView,
  statewire: async () => (await import('./statewire.ts')).statewire,
  'statewire-native': async () => (await import('./statewire.ts')).statewireNative,
  'statewire-tls': async () => (await import('./statewire.ts')).statewireTls,
  'statewire-tls-awaited': async () => (await import('./statewire.ts')).statewireTlsAwaited,
  'statewire-tls-requests': async () => (await import('./statewire.ts')).statewireTlsRequests,
  'raw-tls': async () => (await import('./raw-tls.ts')).rawTls,
  'raw-tls-mux': async () => (await import('./raw-tls-mux.ts')).rawTlsMux,
  'raw-bytes': async () => (await import('./raw-view.ts')).rawBytes,
}

/** What runs unless the user names others: the baseline and everything that is compared with it. */
export const defaultSubjectNames: readonly string[] = [
  'raw-view',
  'statewire',
  'raw-tls',
  'raw-tls-mux',
  'statewire-tls',
  'statewire-tls-awaited',
  'statewire-tls-requests',
].filter((name) => name in loaders)

export const subjectNames: readonly string[] = Object.keys(loaders)

export async function loadSubject(name: string): Promise<Subject> {
  const load = loaders[name]
  if (load === undefined) throw new Error(`no subject is called ${name}; the subjects are ${subjectNames.join(', ')}`)
  return load()
}
