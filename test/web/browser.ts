/**
 * A real browser for the page's tests: Chromium as the system has it, else the one in @sparticuz/chromium.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import axeCore from 'axe-core'
import { type Browser, type BrowserContext, type Page, chromium } from 'playwright-core'

const SYSTEM_BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
/**
 * Arguments the packaged browser brings for functions in a cloud and a test must not have: one process for
 * all ends with the first context closed, and without web security there would be less to test.
 */
const UNWANTED = new Set([
  '--single-process',
  '--no-zygote',
  '--disable-web-security',
  '--allow-running-insecure-content'
])
const START_MS = 20_000

/**
 * Starts a browser, or says why there is none. `more`: arguments of its own for it. `PACKAGED_BROWSER=1`: the
 * one from npm, whatever else there is.
 */
export async function startBrowser(
  more: readonly string[] = []
): Promise<Browser | { readonly reason: string }> {
  try {
    const packaged = process.env['PACKAGED_BROWSER'] === '1'
    const system = packaged ? undefined : SYSTEM_BROWSERS.find((path) => existsSync(path))
    if (system !== undefined)
      return await chromium.launch({
        executablePath: system,
        args: ['--no-sandbox', '--disable-dev-shm-usage', ...more],
        timeout: START_MS
      })
    const packed = (await import('@sparticuz/chromium')).default
    return await chromium.launch({
      executablePath: await packed.executablePath(),
      args: [...packed.args.filter((argument) => !UNWANTED.has(argument)), '--no-sandbox', ...more],
      timeout: START_MS
    })
  } catch (error) {
    return { reason: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error) }
  }
}

/** A page, and everything that must stay empty while it is used. */
export interface Watched {
  readonly page: Page
  readonly context: BrowserContext
  /** Console errors and uncaught exceptions. Refused requests, which a test may provoke, are told apart. */
  readonly errors: string[]
  /** Content-Security-Policy violations, from the console. */
  readonly violations: string[]
  /** Requests to any origin but the page's. */
  readonly strays: string[]
}

export interface WatchOptions {
  readonly origins: readonly string[]
  readonly scheme?: 'light' | 'dark'
  readonly width?: number
  readonly height?: number
}

/** Opens a fresh context and notes what goes wrong in it. */
export async function watch(browser: Browser, options: WatchOptions): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    colorScheme: options.scheme ?? 'light',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    acceptDownloads: true
  })
  const page = await context.newPage()
  const watched: Watched = { page, context, errors: [], violations: [], strays: [] }
  page.on('console', (message) => {
    const text = message.text()
    if (/Content[- ]Security[- ]Policy/i.test(text)) watched.violations.push(text)
    // A refused request is logged by the browser itself; the page's own words for it are what counts.
    else if (message.type() === 'error' && !text.startsWith('Failed to load resource'))
      watched.errors.push(text)
  })
  page.on('pageerror', (error) => watched.errors.push(String(error)))
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (
      url.protocol !== 'blob:' &&
      url.protocol !== 'data:' &&
      !options.origins.includes(url.origin)
    )
      watched.strays.push(request.url())
  })
  return watched
}

/** One fault axe-core found, in short. */
export interface AxeFault {
  readonly id: string
  readonly nodes: readonly string[]
}

/**
 * Runs axe-core (WCAG 2.2 AA and best practice) through CDP, which a strict policy does not stop.
 * `rules`: only these, e.g. what a change of colours alone can break.
 */
export async function axe(page: Page, rules?: readonly string[]): Promise<readonly AxeFault[]> {
  const options = {
    resultTypes: ['violations'],
    // Off unless asked for: WCAG 2.2 §2.5.8, 24 px.
    rules: { 'target-size': { enabled: rules === undefined } },
    ...(rules === undefined ? {} : { runOnly: { type: 'rule', values: rules } })
  }
  const session = await page.context().newCDPSession(page)
  try {
    const known = await session.send('Runtime.evaluate', { expression: 'typeof axe' })
    if (known.result.value === 'undefined')
      await session.send('Runtime.evaluate', { expression: axeCore.source })
    const { result } = await session.send('Runtime.evaluate', {
      expression: `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) =>
        JSON.stringify(violations.map(({ id, nodes }) => ({
          id, nodes: nodes.map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary)
        }))))`,
      awaitPromise: true,
      returnByValue: true
    })
    return JSON.parse(String(result.value)) as AxeFault[]
  } finally {
    await session.detach()
  }
}
