/**
 * Owns: mutants in sessions: credit, queues, notifications.
 * Independent of: how they are found.
 */
import { BaseLinks } from '../../../actors/link/base-links.ts'
import { ReceiveWindow, SendCredit } from '../../../protocol/native/lanes/credit.ts'
import { NativeLink } from '../../../protocol/native/link/native-link.ts'
import { NativeOutbox } from '../../../protocol/native/lanes/native-outbox.ts'
import { Lane } from '../../../protocol/lane.ts'
import { onResume, replace, replaceGetter } from './plant.ts'
import type { Mutant } from './plant.ts'

export const laneMutants: Readonly<Record<string, Mutant>> = {
  'credit-forgotten-on-resume': {
    sentence: 'After a resume a sender believes that it has no credit.',
    plant: () =>
      onResume((_, lanes) => {
        for (const { credit } of lanes) if (credit.canSend) credit.spend(credit.balanceBytes)
      }),
  },
  'credit-granted-twice': {
    sentence: 'After a resume a sender believes that its credit was granted again.',
    plant: () =>
      onResume((_, lanes) => {
        for (const { credit } of lanes) credit.grant(4096)
      }),
  },
  'credit-not-checked': {
    sentence: 'A sender does not look at its credit.',
    plant: () => (replaceGetter(SendCredit, 'canSend', () => true), replace(SendCredit, 'spend', () => {})),
  },
  'credit-never-refilled': {
    sentence: 'What was taken is never granted again.',
    plant: () => replace(ReceiveWindow, 'take', () => 0),
  },
  'credit-wakes-no-sender': {
    sentence: 'Senders that wait for credit are not woken by it.',
    plant: () => replace(SendCredit, 'grant', (_, grant, bytes) => (grant(bytes), false)),
  },
  'queue-dropped-on-resume': {
    sentence: 'What was received and not read is forgotten when the connection changes.',
    plant: () =>
      onResume((_, lanes) => {
        for (const lane of lanes) lane.discardUnread()
      }),
  },
  'queue-dropped-at-end': {
    sentence: 'What was received and not read is forgotten when a lane ends.',
    plant: () => replace(Lane, 'close', (lane, close, error) => (lane.discardUnread(), close(error))),
  },
  'waiting-not-told': {
    sentence: 'Senders that wait on a lane are not told of its end.',
    plant: () => replace(NativeOutbox, 'rejectWaiting', () => {}),
  },
  'flush-too-early': {
    sentence: 'A flush does not wait.',
    plant: () => replace(NativeLink, 'whenAcked', (_, __, ___, resolve) => (resolve(), () => {})),
  },
  'links-of-its-own-number': {
    sentence: 'A side takes all of its links for links that the peer has too.',
    plant: () => replace(BaseLinks, 'inUse', (links, _, peer) => links.of(peer)),
  },
  'link-kept-that-is-gone': {
    sentence: 'What was sent on a link that the peer has no more is not told its outcome.',
    plant: () => replace(NativeLink, 'retire', () => {}),
  },
}
