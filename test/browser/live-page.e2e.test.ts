import { randomUUID } from 'node:crypto'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchChromium } from './chromium.ts'

/** How long an event may take from the gateway to the screen, on a busy machine. */
const seenWithinMs = 60_000

/** Of a test, whose steps may each take that long; what hangs ends then. */
const timeout = 180_000

describe('the live page', () => {
  const gatewayUrl = requiredUrl('MILLRACE_GATEWAY_URL')
  let browser: Browser
  beforeAll(async () => {
    browser = await launchChromium(process.env)
  }, 120_000)
  afterAll(() => browser?.close())

  async function newPage(): Promise<Page> {
    const page = await browser.newPage()
    page.setDefaultTimeout(seenWithinMs)
    return page
  }

  test('shows the count and the average of events that were just posted', { timeout }, async () => {
    const eventType = `browser_test_${randomUUID().slice(0, 8)}`
    const page = await newPage()
    const complaints = complaintsOf(page)
    await signIn(page, `${gatewayUrl}/#type=${eventType}`)

    await postEvents(gatewayUrl, eventType, [10, 20, 60])
    const row = page.getByRole('row').filter({ hasText: eventType })
    await expect
      .poll(() => numbersOf(row), { timeout: seenWithinMs })
      .toEqual({ count: '3', average: '30', min: '10', max: '60' })

    // A further event arrives over the stream, without a reload.
    await postEvents(gatewayUrl, eventType, [30])
    await expect.poll(() => row.getByRole('cell').first().textContent(), { timeout: seenWithinMs }).toBe('4')
    await expect.poll(() => page.getByRole('status').first().textContent(), { timeout: seenWithinMs }).toBe('Live')
    expect(complaints).toEqual([])
    await page.close()
  })

  test('turns away a wrong password, and signs out', { timeout }, async () => {
    const page = await newPage()
    await page.goto(gatewayUrl)
    await page.getByLabel('User name').fill('analyst')
    await page.getByLabel('Password').fill('not the password')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect.poll(() => page.getByRole('alert').textContent(), { timeout: seenWithinMs }).toContain('not right')
    await page.getByLabel('Password').fill('analyst123')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('User name').waitFor()
    await page.close()
  })
})

async function signIn(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.getByLabel('User name').fill('analyst')
  await page.getByLabel('Password').fill('analyst123')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect.poll(() => page.getByRole('status').first().textContent(), { timeout: seenWithinMs }).toBe('Live')
}

/** The numbers of a type's row, as text; its rate depends on the moment. */
async function numbersOf(row: Locator): Promise<Record<'count' | 'average' | 'min' | 'max', string | undefined>> {
  const [count, , average, min, max] = await row.getByRole('cell').allInnerTexts()
  return { count, average, min, max }
}

/** Everything the browser complains about, violations of the content policy included: it reports them as console errors. */
function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  return complaints
}

/** Posts one event per value, as a producer would. */
async function postEvents(gatewayUrl: string, eventType: string, values: readonly number[]): Promise<void> {
  const login = await postJson(`${gatewayUrl}/api/v1/login`, { username: 'api_user', password: 'api123' })
  const token = tokenIn(await login.json())
  const events = values.map((value) => ({
    event_id: randomUUID(),
    user_id: 'browser-test',
    event_type: eventType,
    timestamp: Date.now(),
    metadata: { value },
  }))
  const answer = await postJson(`${gatewayUrl}/events`, events, { authorization: `Bearer ${token}` })
  expect(answer.status, await answer.text()).toBe(202)
}

function tokenIn(answer: unknown): string {
  if (typeof answer === 'object' && answer !== null && 'token' in answer) return String(answer.token)
  throw new Error(`The login of api_user gave no token: ${JSON.stringify(answer)}`)
}

function postJson(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

function requiredUrl(name: string): string {
  const url = process.env[name]
  if (url === undefined)
    throw new Error(`${name} is not set: this test needs a running gateway ("npm test" starts one).`)
  return url.replace(/\/$/, '')
}
