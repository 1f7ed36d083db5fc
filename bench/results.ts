/**
 * Stores the last table. Owns the files in bench/results/ and the description of the machine.
 * Independent of the date, which is passed in.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export interface Machine {
  cpu: string
  cores: number
  memoryGiB: number
  platform: string
  node: string
  commit: string
}

/** The measured commit, with `+` when files differ from it; `unknown` outside a checkout. */
function commitOf(root: string): string {
  const git = (...words: string[]): string | null => {
    const ran = spawnSync('git', words, { cwd: root, encoding: 'utf8' })
    return ran.status === 0 ? ran.stdout.trim() : null
  }
  const hash = git('rev-parse', '--short', '--verify', 'HEAD')
  if (hash === null) return 'unknown'
  return git('status', '--porcelain') === '' ? hash : `${hash}+`
}

export function describeMachine(root: string): Machine {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.release().split(/[-+]/)[0]} ${os.arch()}`,
    node: process.version,
    commit: commitOf(root),
  }
}

export interface Page {
  date: string
  machine: Machine
  pinned: boolean
  malloc: string
  rounds: number
  seconds: number
  command: string
  table: string
  bars: readonly string[]
}

function writePage(page: Page): string {
  const { machine } = page
  return `# Benchmarks, ${page.date}

Two processes on loopback, ${page.pinned ? 'each pinned to its core' : 'not pinned'}, ${page.rounds} interleaved rounds of ${page.seconds} s, medians. CPU is that of both ends
added. Counts and contents were verified in every cell. Compare ratios within one page, never figures between pages.

* machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}
* node ${machine.node}, commit ${machine.commit}
* glibc malloc: ${page.malloc}${page.malloc === 'steady' ? ' (`MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` at 1,000,000,000)' : ''}
* command: \`${page.command}\`

${page.table}

\`\`\`
${page.bars.join('\n')}
\`\`\`
`
}

/** @returns the files written, relative to the repository */
export function storeResults(root: string, page: Page): string[] {
  const folder = path.join(root, 'bench', 'results')
  mkdirSync(folder, { recursive: true })
  const text = writePage(page)
  return [`${page.date}.md`, 'latest.md'].map((file) => {
    writeFileSync(path.join(folder, file), text)
    return path.posix.join('bench', 'results', file)
  })
}
