/**
 * Owns: what a transfer looks like: a bar with rate and time left in a terminal, lines otherwise.
 * Independent of: files and networks.
 */

/** The rate is that of the last five seconds: steady enough to read, and soon right after a pause. */
const rateOverMs = 5_000
/** How often a bar is drawn: the eye sees no more. */
const tickMs = 200
/** Without a terminal: a line each tenth of the file, or at least this often. */
const lineEveryMs = 30_000

/** One transfer, as far as it is shown. */
export class Meter {
  readonly name: string
  readonly size: number
  /** Bytes of the file that are through. */
  done: number
  /** Shown in place of the rate while it is not ''. */
  note = ''
  readonly #startedAtMs: number
  readonly #startedAt: number
  #samples: { readonly atMs: number; readonly done: number }[] = []

  constructor(name: string, size: number, done: number, nowMs: number) {
    this.name = name
    this.size = size
    this.done = this.#startedAt = done
    this.#startedAtMs = nowMs
    this.sample(nowMs)
  }

  sample(nowMs: number): void {
    this.#samples.push({ atMs: nowMs, done: this.done })
    while (this.#samples.length > 2 && nowMs - this.#samples[0]!.atMs > rateOverMs) this.#samples.shift()
  }

  get bytesPerSecond(): number {
    const [first, last] = [this.#samples[0]!, this.#samples.at(-1)!]
    return last.atMs === first.atMs ? 0 : ((last.done - first.done) * 1000) / (last.atMs - first.atMs)
  }

  get percent(): number {
    return this.size === 0 ? 100 : Math.floor((this.done * 100) / this.size)
  }

  get rateAndTimeLeft(): string {
    if (this.note !== '') return this.note
    const rate = this.bytesPerSecond
    return rate === 0 ? '-' : `${formatBytes(rate)}/s  ${formatTime((this.size - this.done) / rate)} left`
  }

  /** Of this attempt: how much in how long. */
  summary(nowMs: number): string {
    const seconds = Math.max(0.001, (nowMs - this.#startedAtMs) / 1000)
    const bytes = this.done - this.#startedAt
    return `${formatBytes(bytes)} in ${formatTime(seconds)}, ${formatBytes(bytes / seconds)}/s`
  }
}

/** Shorter than `columns`, so that it does not wrap. */
export function bar(meter: Meter, columns: number): string {
  const { percent, size, done, name } = meter
  const how = `${String(percent).padStart(3)}%  ${meter.rateAndTimeLeft}`
  const sizes = columns >= 64 ? `  ${formatBytes(done)} of ${formatBytes(size)}` : ''
  const label = columns >= 76 ? `${cut(name, 16)} ` : ''
  const right = `${how}${sizes}`
  const cells = Math.min(40, columns - 1 - widthOf(label) - right.length - 3)
  if (cells < 4) return cut(how.trim(), columns - 1)
  const full = Math.floor((cells * Math.min(100, percent)) / 100)
  return `${label}[${'#'.repeat(full)}${'.'.repeat(cells - full)}] ${right}`
}

export function line(meter: Meter): string {
  const { name, percent, done, size } = meter
  const how = meter.rateAndTimeLeft.replace('  ', ', ')
  return `${name}: ${percent}%, ${formatBytes(done)} of ${formatBytes(size)}, ${how}`
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let value = bytes
  for (; value >= 999.95 && unit < units.length - 1; unit++) value /= 1024
  return unit === 0 ? `${Math.round(value)} B` : `${value.toFixed(1)} ${units[unit]}`
}

export function formatTime(seconds: number): string {
  const whole = Math.ceil(Math.min(seconds, 359_999))
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const two = (number: number): string => String(number).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** Columns of a terminal: the scripts of East Asia and emoji take two. */
function widthOf(text: string): number {
  let width = 0
  for (const character of text)
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u.test(character) ||
      character.codePointAt(0)! >= 0x1f000
        ? 2
        : 1
  return width
}

function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let short = ''
  for (const character of text) {
    if (widthOf(short) + widthOf(character) > columns - 1) break
    short += character
  }
  return `${short}…`
}

/** Where the programs write. */
export class Screen {
  readonly #meters = new Set<Meter>()
  readonly #onTick: () => void
  readonly #timer: NodeJS.Timeout
  readonly #shown = new Map<Meter, { readonly tenth: number; readonly atMs: number }>()
  #hasBar = false

  constructor(onTick: () => void = () => {}) {
    this.#onTick = onTick
    this.#timer = setInterval(() => this.#tick(), tickMs)
  }

  print(text: string): void {
    this.#clear()
    process.stdout.write(`${text}\n`)
  }

  error(text: string): void {
    this.#clear()
    process.stderr.write(`${text}\n`)
  }

  start(name: string, size: number, done: number): Meter {
    const meter = new Meter(name, size, done, Date.now())
    this.#meters.add(meter)
    this.#shown.set(meter, { tenth: Math.floor(meter.percent / 10), atMs: Date.now() })
    return meter
  }

  /** @returns how much in how long */
  stop(meter: Meter): string {
    this.#clear()
    this.#meters.delete(meter)
    this.#shown.delete(meter)
    return meter.summary(Date.now())
  }

  close(): void {
    this.#clear()
    clearInterval(this.#timer)
  }

  #clear(): void {
    if (this.#hasBar) process.stdout.write('\r\u001b[K')
    this.#hasBar = false
  }

  #tick(): void {
    this.#onTick()
    const nowMs = Date.now()
    for (const meter of this.#meters) meter.sample(nowMs)
    if (process.stdout.isTTY) this.#drawBar()
    else for (const meter of this.#meters) this.#printLine(meter, nowMs)
  }

  /** One bar: that of the transfer that has run longest. */
  #drawBar(): void {
    const [meter] = this.#meters
    if (meter === undefined) return
    process.stdout.write(`\r${bar(meter, process.stdout.columns)}\u001b[K`)
    this.#hasBar = true
  }

  #printLine(meter: Meter, nowMs: number): void {
    const tenth = Math.floor(meter.percent / 10)
    const shown = this.#shown.get(meter)
    if (shown !== undefined && shown.tenth === tenth && nowMs - shown.atMs < lineEveryMs) return
    this.#shown.set(meter, { tenth, atMs: nowMs })
    process.stdout.write(`${line(meter)}\n`)
  }
}
