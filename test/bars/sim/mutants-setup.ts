/**
 * Owns: mutants of the set-up of sessions: Want, Make, Made, Refuse, Agree, and attempts that are void.
 * Independent of: how they are found.
 */
import { SetupLinks } from '../../../protocol/native/link/setup-links.ts'
import { Attempt } from '../../../protocol/native/setup/attempt.ts'
import { SessionIds } from '../../../protocol/native/setup/session-ids.ts'
import { SessionSetup } from '../../../protocol/native/setup/session-setup.ts'
import { SetupPeer } from '../../../protocol/native/setup/setup-peer.ts'
import type { SetupFrame } from '../../../codec/setup-frames.ts'
import { replace, replaceGetter } from './plant.ts'
import type { Mutant } from './plant.ts'

type AnyAttempt = Attempt<unknown>

/** Something that is done with every attempt when it begins. */
function onAttempt(change: (attempt: AnyAttempt) => void): void {
  replace(SetupPeer, 'enqueue', (_, enqueue, call) => {
    const { attempts } = call
    if (!Object.hasOwn(attempts, 'set')) {
      const set = attempts.set.bind(attempts)
      attempts.set = (peer, attempt) => (change(attempt), set(peer, attempt))
    }
    enqueue(call)
  })
}

/** What counts as the set in an Agree; null while none came. */
function inAgreedSet(setOf: (attempt: AnyAttempt, came: bigint | null) => bigint | null): void {
  onAttempt((attempt) => {
    let agreed: bigint | null = null
    Object.defineProperty(attempt, 'agreedSet', {
      get: () => setOf(attempt, agreed),
      set: (came: bigint) => {
        agreed = came
      },
    })
  })
}

/** Refuse frames of this reason are not sent. */
function withoutRefuse(reason: (SetupFrame & { readonly type: 'Refuse' })['reason'], isGreater: boolean): void {
  replace(SetupLinks, 'send', (links, send, link, frame) => {
    if (frame.type === 'Refuse' && frame.reason === reason && links.isGreater === isGreater) return
    send(link, frame)
  })
}

export const setupMutants: Readonly<Record<string, Mutant>> = {
  'abandoned-call-goes-on': {
    sentence: 'A call that gave up is paired all the same.',
    plant: () =>
      replace(SessionSetup, 'call', (_, call, request) => {
        const handle = call(request)
        return { abort: () => {}, progress: () => handle.progress() }
      }),
  },
  'make-not-refused': {
    sentence: 'A Make for a Want that was withdrawn is not answered.',
    plant: () => withoutRefuse('withdrawn', false),
  },
  'make-accepted-for-withdrawn-want': {
    sentence: 'A Make for a Want that was withdrawn is answered with Made.',
    plant: () =>
      replace(SetupLinks, 'send', (links, send, link, frame) =>
        frame.type === 'Refuse' && frame.reason === 'withdrawn' && !links.isGreater
          ? send(link, { type: 'Made', k: frame.k, windowBytes: 4096 })
          : send(link, frame),
      ),
  },
  'agree-not-compared': {
    sentence: 'Any Agree is taken for one with the own set of calls.',
    plant: () => inAgreedSet(({ call }, came) => (came === null ? null : call.set)),
  },
  'agree-not-awaited': {
    sentence: 'A call is done when it is paired, without an Agree of its peers.',
    plant: () => inAgreedSet(({ call }) => call.set),
  },
  'attempt-not-voided-by-link-reset': {
    sentence: 'An attempt goes on after a link that it uses was reset.',
    plant: () => replace(SessionSetup, 'linkReset', () => {}),
  },
  'attempt-not-voided-by-reset': {
    sentence: 'An attempt goes on after one of its lanes was reset.',
    plant: () => replace(SetupLinks, 'openLanes', (_, open, lanes) => open({ ...lanes, onEnded: () => {} })),
  },
  'voided-lanes-not-reset': {
    sentence: 'The lanes of an attempt that is void get no Reset.',
    plant: () => replace(SetupLinks, 'resetLanes', () => {}),
  },
  'paired-with-the-first-link': {
    sentence: 'A call is paired when one of its links has its Make or Made.',
    plant: () => replaceGetter(Attempt, 'isPaired', ({ confirmed }) => confirmed.size > 0),
  },
  'window-of-made-ignored': {
    sentence: 'The window of a Made is no credit.',
    plant: () => replace(SetupLinks, 'grantCredit', () => {}),
  },
  'window-of-make-doubled': {
    sentence: 'The window of a Make is taken for twice as much credit.',
    plant: () =>
      replace(SetupLinks, 'openLanes', (_, open, lanes) => open({ ...lanes, creditBytes: 2 * lanes.creditBytes })),
  },
  'ids-not-used-up': {
    sentence: 'The ids of a Make that was refused are given again.',
    plant: () => {
      const given = new WeakMap<SessionIds, { next: number; last: number }>()
      let latest: { next: number; last: number } | undefined
      replace(SessionIds, 'take', (ids, _, count) => {
        const numbers = given.get(ids) ?? { next: 0, last: 0 }
        given.set(ids, numbers)
        latest = numbers
        numbers.last = numbers.next
        numbers.next += count
        return numbers.last
      })
      replace(SetupPeer, 'onFrame', (_, onFrame, link, frame) => {
        if (frame.type === 'Refuse' && latest !== undefined) latest.next = latest.last
        onFrame(link, frame)
      })
    },
  },
  'want-number-of-its-name': {
    sentence: 'All Wants of a name have the same number.',
    plant: () => {
      const latest = new WeakMap<SetupLinks, Map<number, number>>()
      const numberOf = (name: string): number => name.charCodeAt(0) || 0
      replace(SetupLinks, 'sendWant', (links, send, frame, tries) => {
        const numbers = latest.get(links) ?? new Map<number, number>()
        latest.set(links, numbers.set(numberOf(frame.name), frame.k))
        return send({ ...frame, k: numberOf(frame.name) }, tries)
      })
      replace(SetupLinks, 'send', (links, send, link, frame) => {
        const number = [...(latest.get(links) ?? [])].find(([, k]) => k === frame.k)?.[0]
        send(link, { ...frame, k: number ?? frame.k })
      })
      replace(SetupLinks, 'reportsOf', (links, reportsOf, link) => {
        const reports = reportsOf(link)
        return {
          ...reports,
          onFrame: (frame) => reports.onFrame({ ...frame, k: latest.get(links)?.get(frame.k) ?? frame.k }),
        }
      })
    },
  },
  'want-not-repeated': {
    sentence: 'A Want whose attempt is void is not sent again.',
    plant: () => {
      const wanted = new Set<bigint>()
      replace(SetupLinks, 'sendWant', (_, send, frame, tries) => {
        if (wanted.has(frame.callId)) return { withdraw: () => true }
        wanted.add(frame.callId)
        return send(frame, tries)
      })
    },
  },
}
