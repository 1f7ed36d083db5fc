/**
 * Owns: the default log, which publishes each line on the diagnostics channel `statewire:log`.
 * Independent of: who subscribes. Without a subscriber a line costs one boolean test.
 */
import diagnosticsChannel from 'node:diagnostics_channel'
import { messageOf } from '../../codec/format-value.ts'
import type { Log, LogLevel } from './environment.ts'
import { onRejection } from './rejections.ts'

/** Subscribe with `diagnostics_channel.subscribe('statewire:log', (line) => …)`. */
export const logChannelName = 'statewire:log'

export interface LogLine {
  readonly level: LogLevel
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

const channel = diagnosticsChannel.channel(logChannelName)

export const channelLog: Log = {
  isRead: () => channel.hasSubscribers,
  write(level, event, fields) {
    if (channel.hasSubscribers) channel.publish({ level, event, fields } satisfies LogLine)
  },
}

/**
 * An application's log that throws would end the actor that writes to it. The failure is reported once, on the channel.
 */
export function harmlessLog(log: Log): Log {
  let hasFailed = false
  const report = (error: unknown): void => {
    if (!hasFailed) channelLog.write('error', 'log.threw', { message: messageOf(error) })
    hasFailed = true
  }
  const guarded = <T>(fallback: T, call: () => T): T => {
    try {
      return call()
    } catch (error) {
      report(error)
      return fallback
    }
  }
  return {
    isRead: () => guarded(true, () => log.isRead?.() !== false),
    write: (level, event, fields) => guarded(undefined, () => onRejection(log.write(level, event, fields), report)),
  }
}
