import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openServers } from '../../services/gateway/test/servers.ts'
import { launchChromium } from '../browser/chromium.ts'
import { accounts, required } from '../e2e/gateway-client.ts'
import { attackGateway } from './attacked-gateway.ts'
import { mustFail } from './proof.ts'

const strangers = [
  'https://evil.example',
  'null',
  'https://app.example.evil.example',
  'https://evilapp.example',
  'http://app.example',
  'https://app.example:444',
  'HTTPS://APP.EXAMPLE/',
]

/** Asks as pages of other origins would, before and with their credentials. */
async function askFromElsewhere(corsOrigins: readonly string[]): Promise<void> {
  await attackGateway(
    async ({ ask }) => {
      for (const origin of strangers) {
        const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
        const answers = [
          await ask('/events', { method: 'OPTIONS', headers: { origin, ...preflight } }),
          await ask('/events', { headers: { origin }, role: 'admin' }),
          await ask('/livez', { headers: { origin } }),
          await ask('/nothing', { headers: { origin } }),
        ]
        for (const { headers } of answers) {
          const allowed = headers.get('access-control-allow-origin')
          expect([origin, allowed === origin, allowed]).not.toEqual([origin, true, allowed])
          expect(['*', 'null']).not.toContain(allowed)
          expect(headers.get('access-control-allow-credentials')).toBeNull()
        }
      }
    },
    { corsOrigins },
  )
}

describe('S16 other origins', () => {
  it('are let in nowhere when none is listed', () => askFromElsewhere([]))
  it('are let in only when exactly they are listed', () => askFromElsewhere(['https://app.example']))
  it('proof: a list that holds one of them would be found out', () =>
    mustFail(() => askFromElsewhere(['https://app.example', 'https://evil.example'])))
})

/** A script that runs leaves this behind. */
const mark = '__ran'
/** Adds a script and a handler to a page. Text, since it is the page that knows what a document is. */
const inlineScript = `
  const script = document.createElement('script')
  script.textContent = 'window.${mark}=1'
  document.documentElement.append(script)
  const image = document.createElement('img')
  image.setAttribute('onerror', 'window.${mark}=1')
  image.src = 'data:,'
  document.documentElement.append(image)
`
const scripts = [
  `<img src=x onerror="window.${mark}=1">`,
  `<script>window.${mark}=1</script>`,
  `"><svg onload="window.${mark}=1">`,
  `'-(window.${mark}=1)-'`,
  `javascript:window.${mark}=1`,
  `<iframe srcdoc="<script>parent.${mark}=1</script>">`,
]
const hasRun = (page: Page): Promise<boolean> => page.evaluate<boolean>(`'${mark}' in window`)
const late = { timeout: 90_000, interval: 200 }

describe('S16 a browser', () => {
  const gatewayUrl = required('MILLRACE_GATEWAY_URL').replace(/\/$/, '')
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium(process.env)
  })
  afterAll(() => browser?.close())

  /** Opens a page of its own, and closes it. */
  async function inPage<T>(work: (page: Page) => Promise<T>): Promise<T> {
    const context = await browser.newContext()
    // The page of the docs has a script of 4 MB, and the machine may be busy.
    context.setDefaultTimeout(late.timeout)
    context.setDefaultNavigationTimeout(late.timeout)
    const page = await context.newPage()
    try {
      return await work(page)
    } finally {
      await page.unrouteAll({ behavior: 'ignoreErrors' })
      await context.close()
    }
  }

  /** Takes away what protects pages, as a gateway that does not send it. */
  async function unprotect(page: Page): Promise<void> {
    await page.route('**/*', async (route) => {
      const response = await route.fetch()
      const { 'content-security-policy': _policy, 'x-frame-options': _frame, ...headers } = response.headers()
      await route.fulfill({ response, headers })
    })
  }

  async function signIn(page: Page, url: string): Promise<void> {
    await page.goto(url)
    await page.getByLabel('User name').fill(accounts.analyst.username)
    await page.getByLabel('Password').fill(accounts.analyst.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect.poll(() => page.getByRole('status').first().textContent(), late).toBe('Live')
  }

  it('shows names of event types as text, also those that came past the gateway', async () => {
    const run = randomUUID().slice(0, 8)
    const servers = await openServers()
    try {
      const nowMs = Date.now()
      const records = scripts.map((script, i) => ({
        key: `xss-${i}`,
        value: {
          event_id: randomUUID(),
          user_id: `xss-${i}`,
          event_type: `${script} ${run}`,
          timestamp: nowMs,
          value: 1,
          metadata: JSON.stringify({ note: script }),
          received_at: nowMs,
          source: 'test',
        },
      }))
      await servers.produce('events', 'event', records)
      await inPage(async (page) => {
        const dialogs: string[] = []
        page.on('dialog', (dialog) => {
          dialogs.push(dialog.message())
          void dialog.dismiss()
        })
        await signIn(page, gatewayUrl)
        const showAll = page.getByRole('button', { name: /^Show all/ })
        for (const script of scripts) {
          const row = page.getByRole('row').filter({ hasText: `${script} ${run}` })
          const rows = async () => {
            // Other tests may have left more types than are shown at first.
            if ((await showAll.count()) > 0) await showAll.click()
            return await row.count()
          }
          await expect.poll(rows, late).toBe(1)
        }
        // Chosen, it is in the heading, the chart's legend and the address.
        await page.getByRole('row').filter({ hasText: run }).first().getByRole('button').click()
        await page.goto(`${gatewayUrl}/#type=${encodeURIComponent(scripts[0] ?? '')}`)
        expect([await hasRun(page), dialogs]).toEqual([false, []])
      })
    } finally {
      await servers.close()
    }
  })

  it('proof: a page that writes them as HTML would be found out', async () => {
    await withPage(
      `<body><script>document.body.innerHTML=${JSON.stringify(scripts[0])}</script></body>`,
      async (url) => {
        await inPage(async (page) => {
          await page.goto(url)
          await expect.poll(() => hasRun(page), late).toBe(true)
          await mustFail(async () => expect(await hasRun(page)).toBe(false))
        })
      },
    )
  })

  /** Adds a script to a page, as an attacker who has found a hole. */
  async function runInline(path: string, prepare: (page: Page) => Promise<void>): Promise<void> {
    await inPage(async (page) => {
      await prepare(page)
      await page.goto(gatewayUrl + path, { waitUntil: 'domcontentloaded' })
      await page.evaluate(inlineScript)
      expect([path, await hasRun(page)]).toEqual([path, false])
    })
  }
  const none = async () => {}
  it.each(['/', '/docs/'])('runs no script in %s that the page does not bring', (path) => runInline(path, none))
  it('proof: without the content policy it would run', () => mustFail(() => runInline('/', unprotect)))

  /** Shows a page of ours inside of somebody else's. */
  async function frame(path: string, prepare: (page: Page) => Promise<void>): Promise<void> {
    await withPage(`<iframe src="${gatewayUrl}${path}"></iframe>`, async (url) => {
      await inPage(async (page) => {
        await prepare(page)
        await page.goto(url, { waitUntil: 'load' })
        const [, inner] = page.frames()
        const text = await inner?.evaluate<string>('document.documentElement.outerHTML').catch(() => '')
        expect([path, inner?.url().startsWith(gatewayUrl), text?.includes('Millrace')]).toEqual([path, false, false])
      })
    })
  }
  it.each(['/', '/docs/'])('does not show %s in a frame of another page', (path) => frame(path, none))
  it('proof: without the headers about frames it would', () => mustFail(() => frame('/', unprotect)))

  it('lets no other page read an answer', async () => {
    await withPage('<p>another page</p>', async (url) => {
      await inPage(async (page) => {
        await page.goto(url)
        const read = await page.evaluate<string>(
          `fetch('${gatewayUrl}/api/v1/health').then((answer) => answer.text(), (error) => String(error))`,
        )
        expect(read).toContain('TypeError')
      })
    })
  })
})

/** Serves one page at another origin for a while. */
async function withPage(html: string, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html', connection: 'close' }).end(`<!doctype html>${html}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  try {
    await use(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`)
  } finally {
    server.close()
  }
}
