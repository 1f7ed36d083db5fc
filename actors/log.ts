/**
 * Owns: the default log, which publishes each line on the diagnostics channel `statewire:log`.
 * Refuses to know: who listens. Without a subscriber a line costs one boolean test.
 */
import diagnosticsChannel from 'node:diagnostics_channel'
import type { Log, LogLevel } from './environment.ts'

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
