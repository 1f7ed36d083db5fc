/**
 * The process of C13's sender. Owns: its start only. Independent of: what is measured.
 */
import { leaveUnread } from './slow-reader.ts'

const counts = await leaveUnread(Number(process.argv[2]))
process.send?.(counts, () => process.disconnect())
