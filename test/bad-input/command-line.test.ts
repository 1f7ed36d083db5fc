/**
 * Owns: that wrong arguments of the command line are refused with exit code 2 and a readable reason.
 * Independent of: what the commands do (test/cli).
 */
import { describe, expect, it } from 'vitest'
import { run } from '../../cli/run.ts'

describe('the command line', () => {
  it.each<[string[], string]>([
    [[], 'a command is missing'],
    [['keygn'], 'there is no command "keygn"'],
    [['key\u001b[2Jgen'], String.raw`there is no command "key\u001b[2Jgen"`],
    [['keygen', '--ouT', 'a'], '--ouT'],
    [['keygen', '--bits=4096'], '--bits'],
    [['keygen', '--\u001b[2J'], String.raw`\u001b[2J`],
    [['keygen', 'key.pem'], 'key.pem'],
    [['keygen', '--out'], '--out'],
    [['keygen', '--out='], '--out needs a file'],
    [['keygen', '--out', '--force'], '--out'],
    [['keygen', '--force'], '--force means nothing without --out'],
    [['keygen', '--force=yes', '--out', 'x'], '--force'],
  ])('the command line exits with code 2 for the arguments %j and says what is wrong', async (args, said) => {
    const printed: string[] = []
    expect(await run(args, { out: (text) => printed.push(text), err: (text) => printed.push(text) })).toBe(2)
    expect(printed.join('')).toContain(said)
    expect(printed.join('')).toMatch(/^[\n -~]*$/)
  })
})
