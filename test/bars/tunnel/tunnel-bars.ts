/**
 * Owns: T1 to T5: programs of others through a tunnel whose carrier is destroyed every 200 ms, and once is gone for
 * 20 s: no failure, no wrong byte.
 * Independent of: how a tunnel works.
 */
import { createHash } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import path from 'node:path'
import type { Bar, BarContext } from '../bar.ts'
import { freePort, isThere, run, serve } from './real-software.ts'
import type { Service } from './real-software.ts'
import { programPath, TunnelScene } from './tunnel-scene.ts'
import { bulkDigest, checkRequests, download, serveWeb } from './web-target.ts'

const blackoutMs = 20_000
const quickBlackoutMs = 1_000

interface Check {
  readonly figures: Record<string, number | string>
  readonly problems: string[]
}

/** Runs a check while connections break, and judges it with what both ends say. */
async function underFaults(
  id: string,
  { isQuick }: BarContext,
  target: string,
  check: (scene: TunnelScene) => Promise<Check>,
): Promise<readonly Bar[]> {
  const scene = await TunnelScene.start({ it: target })
  try {
    const startedAtMs = performance.now()
    scene.breakConnections(isQuick ? quickBlackoutMs : blackoutMs)
    const { figures, problems } = await check(scene)
    const seconds = (performance.now() - startedAtMs) / 1000
    await scene.calm()
    const [far, near] = await scene.reports()
    if (scene.kills === 0) problems.push('no connection was destroyed')
    if (!isQuick && scene.blackouts === 0) problems.push('it was over before the blackout')
    for (const [name, { resets, broken }] of [['exposing', far] as const, ['opening', near] as const]) {
      if (resets > 0) problems.push(`${resets} links were reset at the ${name} side`)
      for (const line of new Set(broken)) problems.push(`${name} side: ${line}`)
    }
    return [
      {
        id,
        passed: problems.length === 0,
        figures: {
          ...figures,
          kills: scene.kills,
          resumes: near.resumes,
          blackouts: scene.blackouts,
          connections: near.served,
          seconds,
          rss_mib: Math.max(far.rssMiB, near.rssMiB),
        },
        notes: problems.slice(0, 10),
      },
    ]
  } finally {
    await scene.stop()
  }
}

/** Not judged, and says so. */
function skipped(id: string, program: string): readonly Bar[] {
  return [{ id, passed: true, figures: { skipped: `${program}_is_not_installed` }, notes: [] }]
}

export async function httpRequests(context: BarContext): Promise<readonly Bar[]> {
  const requests = context.isQuick ? 300 : 10_000
  const web = await serveWeb()
  try {
    return await underFaults('T1', context, `127.0.0.1:${web.port}`, async (scene) => {
      const port = scene.portOf('it')
      const problems: string[] = []
      const figures: Check['figures'] = { requests }
      for (const keepAlive of [true, false]) {
        const { failed, wrong, firstError } = await checkRequests(port, requests, {
          keepAlive,
          onDone: (done) => {
            if (done % 2_500 === 0) context.progress(`${done} of ${requests} requests, ${scene.kills} kills`)
          },
        })
        figures[keepAlive ? 'kept_failed' : 'fresh_failed'] = failed
        figures[keepAlive ? 'kept_wrong' : 'fresh_wrong'] = wrong
        if (failed + wrong > 0) problems.push(`${failed} failed (${firstError}), ${wrong} wrong`)
      }
      if (!context.isQuick && isThere('ab')) {
        const { code, output } = await run('ab', [
          '-q',
          '-n',
          String(requests),
          '-c',
          '32',
          '-s',
          '120',
          `http://127.0.0.1:${port}/7`,
        ])
        const [complete, failed] = [/Complete requests:\s+(\d+)/, /Failed requests:\s+(\d+)/].map((pattern) =>
          Number(pattern.exec(output)?.[1] ?? -1),
        )
        figures['ab_complete'] = complete as number
        figures['ab_failed'] = failed as number
        if (code !== 0 || complete !== requests || failed !== 0) problems.push(`ab: ${output.slice(-500)}`)
      }
      return { figures, problems }
    })
  } finally {
    await web.stop()
  }
}

export async function bigDownload(context: BarContext): Promise<readonly Bar[]> {
  const mebibytes = context.isQuick ? 48 : 1024
  const web = await serveWeb()
  try {
    return await underFaults('T2', context, `127.0.0.1:${web.port}`, async (scene) => {
      const port = scene.portOf('it')
      const startedAtMs = performance.now()
      let digest: string
      if (!context.isQuick && isThere('curl')) {
        const { output } = await run('sh', [
          '-c',
          `curl -sS --fail http://127.0.0.1:${port}/bulk/${mebibytes} | sha256sum`,
        ])
        digest = output.split(' ')[0] as string
      } else digest = await download(port, mebibytes)
      const seconds = (performance.now() - startedAtMs) / 1000
      const isRight = digest === bulkDigest(mebibytes)
      return {
        figures: { mebibytes, mib_per_second: mebibytes / seconds, right: Number(isRight) },
        problems: isRight ? [] : [`the digest is wrong: ${digest.slice(0, 300)}`],
      }
    })
  } finally {
    await web.stop()
  }
}

export async function redis(context: BarContext): Promise<readonly Bar[]> {
  if (!isThere('redis-server') || !isThere('redis-benchmark')) return skipped('T3', 'redis')
  const requests = context.isQuick ? 2_000 : 100_000
  const port = await freePort()
  const server = await serve(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    port,
    { cwd: tmpdir() },
  )
  try {
    return await underFaults('T3', context, `127.0.0.1:${port}`, async (scene) => {
      const { code, output } = await run('redis-benchmark', [
        '-h',
        '127.0.0.1',
        '-p',
        String(scene.portOf('it')),
        '-n',
        String(requests),
        '-c',
        '50',
        '-t',
        'set,get,lpush,lrange_100',
        '--csv',
      ])
      const rates = [...output.matchAll(/^"(SET|GET)","([\d.]+)"/gm)].map(([, name, rate]) => [name, Number(rate)])
      const isRight = code === 0 && rates.length === 2 && !/error|reset|closed/i.test(output)
      return {
        figures: { requests, ...Object.fromEntries(rates.map(([name, rate]) => [`${name}_per_second`, rate])) },
        problems: isRight ? [] : [`redis-benchmark (${code}): ${output.slice(-500)}`],
      }
    })
  } finally {
    await server.stop()
  }
}

export async function postgres(context: BarContext): Promise<readonly Bar[]> {
  const base = '/usr/lib/postgresql'
  const version = isThere(base) ? readdirSync(base).sort().pop() : undefined
  if (version === undefined || !isThere('pgbench')) return skipped('T4', 'postgresql')
  const bin = path.join(base, version, 'bin')
  const folder = mkdtempSync(path.join(tmpdir(), 'sw-pg-'))
  // It refuses to run as root.
  const [uid, gid] = await ids('postgres')
  chownSync(folder, uid, gid)
  const data = path.join(folder, 'data')
  const port = await freePort()
  const asPostgres = (command: string): Promise<{ code: number | null; output: string }> =>
    userInfo().uid === 0 ? run('runuser', ['-u', 'postgres', '--', 'sh', '-c', command]) : run('sh', ['-c', command])
  let server: Service | null = null
  try {
    const made = await asPostgres(`cd ${folder} && ${bin}/initdb -D ${data} -A trust -U postgres --no-sync`)
    if (made.code !== 0) throw new Error(`initdb: ${made.output.slice(-500)}`)
    server = await serve(
      path.join(bin, 'postgres'),
      ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-F'],
      port,
      { cwd: folder, ...(userInfo().uid === 0 ? { uid, gid } : {}) },
    )
    const direct = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres']
    const filled = await run('pgbench', [...direct, '-i', '-q', 'postgres'])
    if (filled.code !== 0) throw new Error(`pgbench -i: ${filled.output.slice(-500)}`)
    return await underFaults('T4', context, `127.0.0.1:${port}`, async (scene) => {
      const perClient = context.isQuick ? 100 : 2_500
      const { code, output } = await run('pgbench', [
        '-h',
        '127.0.0.1',
        '-p',
        String(scene.portOf('it')),
        '-U',
        'postgres',
        '-c',
        '8',
        '-t',
        String(perClient),
        'postgres',
      ])
      const done = Number(/actually processed: (\d+)/.exec(output)?.[1] ?? -1)
      const failed = Number(/failed transactions: (\d+)/.exec(output)?.[1] ?? -1)
      const { output: sums } = await run('psql', [
        ...direct,
        '-tA',
        '-c',
        'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)',
        'postgres',
      ])
      const isRight = code === 0 && done === 8 * perClient && failed === 0 && sums.trim() === 't'
      return {
        figures: { transactions: done, failed, sums_agree: sums.trim() },
        problems: isRight ? [] : [`pgbench (${code}): ${output.slice(-500)}`],
      }
    })
  } finally {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function ids(user: string): Promise<[number, number]> {
  const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])])
  return [Number(uid.output), Number(gid.output)]
}

export async function rsyncOverSsh(context: BarContext): Promise<readonly Bar[]> {
  for (const program of ['/usr/sbin/sshd', 'ssh', 'rsync', 'ssh-keygen'])
    if (!isThere(program)) return skipped('T5', path.basename(program))
  if (userInfo().uid !== 0) return skipped('T5', 'a_root_sshd')
  const folder = mkdtempSync(path.join(tmpdir(), 'sw-ssh-'))
  chmodSync(folder, 0o755)
  mkdirSync('/run/sshd', { recursive: true })
  const [hostKey, userKey] = ['host', 'user'].map((name) => path.join(folder, name)) as [string, string]
  for (const file of [hostKey, userKey]) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file])
  const allowed = path.join(folder, 'allowed')
  writeFileSync(allowed, readFileSync(`${userKey}.pub`))
  const port = await freePort()
  const [source, target] = [path.join(folder, 'source'), path.join(folder, 'target')]
  mkdirSync(source)
  mkdirSync(target)
  const files = context.isQuick ? 20 : 400
  for (let index = 0; index < files; index++)
    writeFileSync(path.join(source, `file-${index}`), Buffer.alloc((index * 7_919) % 1_000_000, index))
  const server = await serve(
    '/usr/sbin/sshd',
    [
      '-D',
      '-e',
      '-f',
      '/dev/null',
      '-p',
      String(port),
      '-h',
      hostKey,
      '-o',
      'ListenAddress=127.0.0.1',
      '-o',
      `AuthorizedKeysFile=${allowed}`,
      '-o',
      'StrictModes=no',
      '-o',
      'PidFile=none',
      '-o',
      'UsePAM=no',
      '-o',
      'PermitRootLogin=yes',
    ],
    port,
  )
  try {
    return await underFaults('T5', context, `127.0.0.1:${port}`, async (scene) => {
      const proxy = [process.execPath, programPath('stdio-process'), ...scene.stdio, 'it'].join(' ')
      const wrapper = path.join(folder, 'wrapper.sh')
      writeFileSync(
        wrapper,
        `#!/bin/sh\nexec ssh -i ${userKey} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ` +
          `-o LogLevel=ERROR -o 'ProxyCommand=${proxy}' "$@"\n`,
        { mode: 0o755 },
      )
      // Slow enough that the blackout comes in the middle.
      const slow = context.isQuick ? [] : ['--bwlimit=20m']
      const { code, output } = await run('rsync', ['-a', ...slow, '-e', wrapper, `${source}/`, `root@there:${target}/`])
      const right = readdirSync(target).filter(
        (name) => digestOf(path.join(target, name)) === digestOf(path.join(source, name)),
      )
      return {
        figures: { files, right: right.length },
        problems: code === 0 && right.length === files ? [] : [`rsync (${code}): ${output.slice(-500)}`],
      }
    })
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}
