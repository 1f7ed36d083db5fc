#!/usr/bin/env node
/**
 * Checks the package as a stranger gets it: packs it, installs the tarball into an empty TypeScript project, compiles a
 * file that uses every export of every entry, runs the result, and lets publint read the tarball.
 * Owns the temporary project and the order of the steps. Independent of what the package does, and to read its
 * sources.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const help = `node scripts/check-package.mjs [--keep] [--help]

Packs the package, installs the tarball into an empty project beside xstate, looks for links that lead nowhere in it and for
maps whose sources are not in it, compiles and runs a file that uses every export of every entry of package.json, and lints
the tarball with publint. Needs an installed checkout (npm ci).

  --keep    leave the temporary project in place and print where it is
  --help

Exits 0 if all is well, 1 if a step failed, 2 for wrong options.`

const root = fileURLToPath(new URL('..', import.meta.url))

class StepError extends Error {}

function readJson(...parts) {
  return JSON.parse(readFileSync(path.join(...parts), 'utf8'))
}

/** Runs to its end without input; answers its output. What a failed command printed is the reason of the failure. */
function run(command, args, { cwd, limitMs = 180_000 }) {
  const ran = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: limitMs })
  if (ran.error !== undefined) throw new StepError(`${command} ${args.join(' ')}: ${ran.error.message}`)
  if (ran.status !== 0) {
    throw new StepError(
      `${command} ${args.join(' ')}: exit code ${ran.status ?? ran.signal}\n${ran.stdout}${ran.stderr}`,
    )
  }
  return ran.stdout
}

/** './codec' of package.json is 'statewire/codec' to a user. Files such as './package.json' are no modules. */
function entriesOf(manifest) {
  return Object.keys(manifest.exports)
    .filter((key) => !/\.\w+$/.test(key))
    .map((key) => (key === '.' ? manifest.name : `${manifest.name}/${key.slice(2)}`))
}

function pack(folder) {
  // The build never deletes: without this, a file whose source is gone would still be shipped, and be missed nowhere.
  rmSync(path.join(root, 'dist'), { recursive: true, force: true })
  run('npm', ['pack', '--pack-destination', folder], { cwd: root })
  const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz'))
  if (tarball === undefined) throw new StepError('npm pack made no tarball')
  return path.join(folder, tarball)
}

function install(project, tarball) {
  mkdirSync(project)
  writeFileSync(
    path.join(project, 'package.json'),
    `${JSON.stringify({ name: 'stranger', private: true, type: 'module' })}\n`,
  )
  // The versions that this checkout was tested with, so that npm's cache has them and a new release cannot fail us.
  const companions = ['xstate', '@types/node'].map(
    (name) => `${name}@${readJson(root, 'node_modules', name, 'package.json').version}`,
  )
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball, ...companions], {
    cwd: project,
  })
}

/**
 * Links between documents that lead out of the package, and maps to sources that are not in it. Answers how many files
 * it read.
 */
function readFilesOf(installed) {
  const files = readdirSync(installed, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
  const problems = files.flatMap((file) => {
    const name = path.relative(installed, file)
    if (name.endsWith('.map')) return [`${name} is a map, and the sources are not in the package`]
    const text = readFileSync(file, 'utf8')
    if (/\.[cm]?[jt]s$/.test(name))
      return /^\/\/# sourceMappingURL=/m.test(text)
        ? [`${name} names a map, and the sources are not in the package`]
        : []
    return name.endsWith('.md')
      ? deadLinksOf(file, text).map((link) => `${name} links ${link}, which is not in the package`)
      : []
  })
  if (problems.length > 0) throw new StepError(problems.join('\n'))
  return files.length
}

function deadLinksOf(file, text) {
  return [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)]
    .map((match) => match[1])
    .filter((link) => !/^[a-z]+:/.test(link) && !existsSync(path.join(path.dirname(file), link)))
}

/** What each entry exports when it runs. */
function namesOf(project, entries) {
  const file = path.join(project, 'names.js')
  writeFileSync(
    file,
    `const names = {}
for (const entry of ${JSON.stringify(entries)}) {
  names[entry] = Object.keys(await import(entry).catch((error) => { throw new Error('import ' + entry, { cause: error }) }))
}
process.stdout.write(JSON.stringify(names))
`,
  )
  const names = JSON.parse(run(process.execPath, [file], { cwd: project, limitMs: 30_000 }))
  const empty = entries.filter((entry) => names[entry].length === 0)
  if (empty.length > 0) throw new StepError(`exports nothing at run time: ${empty.join(', ')}`)
  return names
}

/** Uses by its declared type what exists at run time: a missing declaration fails to compile. */
function writeUser(project, entries, names) {
  const imports = entries.map((entry, index) => `import * as entry${index} from '${entry}'`)
  const uses = entries.map((entry, index) => {
    const symbols = names[entry].map((name) => `entry${index}.${name}`)
    return `const symbols${index}: unknown[] = [\n  ${symbols.join(',\n  ')},\n]`
  })
  const checks = entries.map(
    (entry, index) =>
      `if (symbols${index}.length !== ${names[entry].length} || symbols${index}.includes(undefined)) throw new Error('${entry}: an export is undefined')`,
  )
  writeFileSync(
    path.join(project, 'main.ts'),
    `${[...imports, '', ...uses, '', ...checks, "console.log('used')"].join('\n')}\n`,
  )
  const compilerOptions = {
    target: 'es2023',
    // As the README asks of users; Symbol.asyncDispose is not in es2023.
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    moduleResolution: 'nodenext',
    types: ['node'],
    strict: true,
    skipLibCheck: true,
  }
  writeFileSync(path.join(project, 'tsconfig.json'), `${JSON.stringify({ compilerOptions, files: ['main.ts'] })}\n`)
}

function checkPackage(folder) {
  const manifest = readJson(root, 'package.json')
  const entries = entriesOf(manifest)
  const project = path.join(folder, 'project')
  let step = 0
  const progress = (text) => console.log(`check-package ${++step}/7: ${text}`)

  progress('build and pack')
  const tarball = pack(folder)
  progress(`install ${path.basename(tarball)} into an empty project`)
  install(project, tarball)
  progress('follow the links of its documents, and look for maps')
  const files = readFilesOf(path.join(project, 'node_modules', manifest.name))
  progress(`import ${entries.length} entries`)
  const names = namesOf(project, entries)
  progress('compile a file that uses every export')
  writeUser(project, entries, names)
  // This checkout's compiler: the package's types are promised for it, and nothing more is downloaded.
  run(process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project], { cwd: project })
  progress('run it')
  const said = run(process.execPath, ['main.js'], { cwd: project, limitMs: 30_000 })
  if (said !== 'used\n') throw new StepError(`importing the package printed: ${said}`)
  progress('publint --strict')
  run(path.join(root, 'node_modules', '.bin', 'publint'), ['run', tarball, '--strict'], { cwd: root })
  console.log(`  ${files} files`)
  for (const entry of entries) console.log(`  ${entry}: ${names[entry].length} exports`)
}

function main() {
  let options
  try {
    options = parseArgs({
      options: { keep: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
    }).values
  } catch (error) {
    console.error(`${error.message}\n\n${help}`)
    return 2
  }
  if (options.help) {
    console.log(help)
    return 0
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'check-package-'))
  try {
    checkPackage(folder)
    console.log('check-package: ok')
    return 0
  } catch (error) {
    console.error(error instanceof StepError ? error.message : error)
    console.error('check-package: FAILED')
    return 1
  } finally {
    if (options.keep) console.log(`check-package: kept ${folder}`)
    else rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = main()
