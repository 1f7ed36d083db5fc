#!/usr/bin/env node
/**
 * Prints `N passed, N failed` from the file that vitest's JSON reporter wrote. Owns the sum, and what counts as failed.
 * Independent of how the tests were run.
 *
 * A file that breaks before its first test has no test to count, and a run that wrote no file has none at all: each
 * counts as one failed, so that the line never says `0 failed` about a run that was not whole.
 */
import { readFileSync } from 'node:fs'

const help =
  'node scripts/count-tests.mjs FILE    prints the totals of a vitest JSON report; exits 0 only if none failed'

function count(file) {
  let report
  try {
    report = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    console.error(`count-tests: no report: ${error.message}`)
    return { passed: 0, failed: 1 }
  }
  const brokenFiles = report.testResults.filter(
    (result) => result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
  )
  const failed = report.numFailedTests + brokenFiles.length
  // An error outside of every test fails the run and no test.
  return { passed: report.numPassedTests, failed: failed === 0 && !report.success ? 1 : failed }
}

const file = process.argv[2]
if (file === undefined || file === '--help') {
  console.log(help)
  process.exitCode = file === undefined ? 2 : 0
} else {
  const { passed, failed } = count(file)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
