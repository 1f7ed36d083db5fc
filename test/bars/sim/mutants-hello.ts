/**
 * Owns: mutants of the hello: who may connect, what it says, what two of them lead to.
 * Independent of: how they are found.
 */
import { NativeAcceptorHandshake } from '../../../protocol/native/link/native-handshake.ts'
import { nativeDialect } from '../../../protocol/native/link/native-dialect.ts'
import { LinkEpoch } from '../../../protocol/native/epoch/link-epoch.ts'
import { NativeLink } from '../../../protocol/native/link/native-link.ts'
import { verdictOf } from '../../../protocol/native/handshake/verdict.ts'
import type { Hello } from '../../../codec/hello.ts'
import type { AcceptorHandshake } from '../../../protocol/dialect.ts'
import { replace, replaceGetter } from './plant.ts'
import type { Mutant, Writable } from './plant.ts'

/** The verdict uses the hello itself later, so it is changed in place. */
function inHello(bug: (hello: Writable<Hello>, epoch: LinkEpoch) => void): void {
  replace(LinkEpoch, 'composeHello', (epoch, compose) => {
    const hello = compose()
    bug(hello, epoch)
    return hello
  })
}

interface Counters {
  readonly epoch: bigint
  readonly received: number
}

/** The counters of every link when a socket was accepted: its hello comes a moment later. */
function plantReadBeforeFence(): void {
  const links: LinkEpoch[] = []
  const counted = new WeakMap<AcceptorHandshake, Map<LinkEpoch, Counters>>()
  let confirming: AcceptorHandshake | null = null
  replace(LinkEpoch, 'composeHello', (epoch, compose) => {
    if (!links.includes(epoch)) links.push(epoch)
    if (links.length > 16) links.shift()
    const hello: Writable<Hello> = compose()
    const before = confirming === null ? undefined : counted.get(confirming)?.get(epoch)
    if (before?.epoch === hello.epoch) hello.received = before.received
    return hello
  })
  const create = nativeDialect.createAcceptorHandshake
  ;(nativeDialect as Writable<typeof nativeDialect>).createAcceptorHandshake = () => {
    const handshake = create()
    counted.set(handshake, new Map(links.map((link) => [link, { epoch: link.epoch, received: link.received }])))
    return handshake
  }
  replace(NativeAcceptorHandshake, 'confirm', (handshake, confirm, state) => {
    confirming = handshake
    try {
      return confirm(state)
    } finally {
      confirming = null
    }
  })
}

interface Epochs {
  readonly first: bigint
  readonly second: bigint
}

/** The link itself uses the wrong epoch and announces the same next one for ever. */
function plantEpochs(epochOf: (epochs: Epochs, real: bigint) => bigint): void {
  const known = new WeakMap<LinkEpoch, Epochs>()
  const real = Object.getOwnPropertyDescriptor(LinkEpoch.prototype, 'epoch')?.get as () => bigint
  inHello((hello, link) => {
    if (!known.has(link)) known.set(link, { first: hello.epoch, second: hello.nextEpoch })
    const epochs = known.get(link)!
    hello.epoch = epochOf(epochs, hello.epoch)
    hello.nextEpoch = epochs.second
  })
  replaceGetter(LinkEpoch, 'epoch', (link) => {
    const epochs = known.get(link)
    return epochs === undefined ? real.call(link) : epochOf(epochs, real.call(link))
  })
}

/** A verdict depends on two hellos alone, so a bug in it is a change of a hello. */
function inVerdict(bug: (mine: Writable<Hello>, theirs: Writable<Hello>, epoch: LinkEpoch) => void): void {
  replace(LinkEpoch, 'adopt', (epoch, adopt, mine, theirs) => {
    const changed = { ...theirs }
    bug(mine, changed, epoch)
    return adopt(mine, changed)
  })
}

export const helloMutants: Readonly<Record<string, Mutant>> = {
  'counters-read-before-fence': {
    sentence: 'An acceptor says what it had counted before the old connection was out of the way.',
    plant: plantReadBeforeFence,
  },
  'stale-hello-accepted': {
    sentence: 'A hello of a dial that was dropped is taken for a new one.',
    plant: () =>
      replace(LinkEpoch, 'checkInbound', (_, check, hello) => {
        const fault = check(hello)
        return fault?.name === 'stale' ? null : fault
      }),
  },
  'epoch-not-renewed': {
    sentence: 'After its state is lost a side goes on under the same epoch.',
    plant: () => plantEpochs(({ first }) => first),
  },
  'next-epoch-not-advanced': {
    sentence: 'The epoch that comes next is drawn once only.',
    plant: () => plantEpochs(({ first, second }, real) => (real === first ? first : second)),
  },
  'received-not-restored': {
    sentence: 'A side that comes back says that it has received nothing.',
    plant: () => inHello((hello) => (hello.received = 0)),
  },
  'hello-number-not-raised': {
    sentence: 'All hellos of a process have the same number.',
    plant: () => inHello((hello) => (hello.helloNumber = 1)),
  },
  'boot-id-not-new': {
    sentence: 'A restarted process has the boot id of the one before.',
    plant: () => inHello((hello) => (hello.bootId = 1n)),
  },
  'keep-treated-as-fresh': {
    sentence: 'A side that has lost nothing gives up its state.',
    plant: () =>
      inVerdict((mine, theirs) => {
        if (verdictOf(mine, theirs).mine === 'KEEP') mine.known = 0xdeadn
      }),
  },
  'fresh-treated-as-keep': {
    sentence: 'A side whose state is lost goes on with it.',
    plant: () =>
      inVerdict((mine, theirs) => {
        if (verdictOf(mine, theirs).mine === 'FRESH') mine.known = 0n
      }),
  },
  'epoch-of-peer-ignored': {
    sentence: 'A peer whose counts fit is taken for the process that was there before.',
    plant: () =>
      inVerdict((mine, theirs) => {
        mine.known = theirs.epoch
        theirs.known = mine.epoch
      }),
  },
  'crossing-both-give-way': {
    sentence: 'Of two dials that cross both sides give up their own.',
    plant: () => replace(NativeAcceptorHandshake, 'judge', (_, judge, state) => judge(state, false)),
  },
  'crossing-both-insist': {
    sentence: 'Of two dials that cross each side keeps its own.',
    plant: () =>
      replace(NativeAcceptorHandshake, 'judge', (handshake, judge, state, hasGreeted) =>
        hasGreeted ? handshake.refusal('crossing', '') : judge(state, hasGreeted),
      ),
  },
  'replay-one-too-late': {
    sentence: 'After a resume the first frame that the peer misses is left out.',
    plant: () =>
      inVerdict((mine, theirs, { retransmit }) => {
        if (verdictOf(mine, theirs).mine === 'RESUME' && theirs.received < retransmit.next) theirs.received += 1
      }),
  },
  'replay-one-too-early': {
    sentence: 'After a resume the last frame that the peer has is sent again.',
    plant: () =>
      inVerdict((mine, theirs, { retransmit }) => {
        if (verdictOf(mine, theirs).mine === 'RESUME' && theirs.received > retransmit.first) theirs.received -= 1
      }),
  },
  'replay-of-all-that-is-held': {
    sentence: 'After a resume everything that was not acknowledged is sent again, whatever the peer says it has.',
    plant: () =>
      inVerdict((mine, theirs, { retransmit }) => {
        if (verdictOf(mine, theirs).mine === 'RESUME') theirs.received = retransmit.first
      }),
  },
  'replay-left-out': {
    sentence: 'After a resume nothing is sent again.',
    plant: () =>
      replace(NativeLink, 'established', (_, establish, agreed) => {
        establish(agreed)
        return []
      }),
  },
}
