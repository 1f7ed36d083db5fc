/**
 * Owns: mutants in messages and requests: repeated, forgotten or misplaced frames, and wrong outcomes.
 * Independent of: how they are found.
 */
import { AskedRequests } from '../../../protocol/native/messages/asked-requests.ts'
import { EpochLane } from '../../../protocol/native/messages/epoch-lane.ts'
import { LinkExchange } from '../../../protocol/native/messages/link-exchange.ts'
import { ServedRequests, type ServedRequest } from '../../../protocol/native/messages/served-requests.ts'
import { replace } from './plant.ts'
import type { Mutant } from './plant.ts'

export const messageMutants: Readonly<Record<string, Mutant>> = {
  'handler-runs-twice': {
    sentence: 'The handler of some requests runs twice.',
    plant: () =>
      replace(LinkExchange, 'setReceiver', (_, set, receiver) =>
        set(
          receiver && {
            onMessage: (...message) => receiver.onMessage(...message),
            onBadMessage: (why) => receiver.onBadMessage(why),
            onRequest: (request) => {
              receiver.onRequest(request)
              if ((request as ServedRequest).nonce % 5 === 0) receiver.onRequest(request)
            },
          },
        ),
      ),
  },
  'message-delivered-twice': {
    sentence: 'Messages are delivered once more.',
    plant: () =>
      replace(LinkExchange, 'setReceiver', (_, set, receiver) =>
        set(
          receiver && {
            onMessage: (...message) => receiver.onMessage(...message) && receiver.onMessage(...message),
            onBadMessage: (why) => receiver.onBadMessage(why),
            onRequest: (request) => receiver.onRequest(request),
          },
        ),
      ),
  },
  'sent-requests-not-sent': {
    sentence: 'After a reset every request that was handed over counts as not sent.',
    plant: () =>
      replace(AskedRequests, 'epochEnded', (asked, end, _notSent, errorOf) => end(asked.outstanding, errorOf)),
  },
  'lost-requests-not-reported': {
    sentence: 'After a reset requests that were handed over do not end.',
    plant: () => replace(AskedRequests, 'epochEnded', () => {}),
  },
  'late-answer-for-the-next': {
    sentence: 'An answer ends the request that was asked after its own one.',
    plant: () =>
      replace(AskedRequests, 'onResponse', (_, onResponse, response, bytes) =>
        onResponse({ ...response, nonce: response.nonce + 1 }, bytes),
      ),
  },
  'answer-forgotten': {
    sentence: 'Every seventh answer is not sent.',
    plant: () =>
      replace(ServedRequests, 'answer', (_, answer, request, bytes) => {
        if (request.nonce % 7 !== 0) answer(request, bytes)
      }),
  },
  'old-requests-kept-at-reset': {
    sentence: 'After a reset the requests of the epoch that has ended count as unanswered.',
    plant: () => replace(ServedRequests, 'epochEnded', () => {}),
  },
  'message-window-not-granted': {
    sentence: 'A hello grants no window for messages and requests.',
    plant: () => replace(EpochLane, 'adopted', (_, adopted, windows) => adopted({ ...windows, receiveBytes: null })),
  },
}
