import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { freePorts, isFree, ownerOf, requireFreePorts } from './ports.ts'

const open: Server[] = []
afterEach(() => Promise.all(open.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))))

async function listen(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  open.push(server)
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

describe('requireFreePorts', () => {
  it('passes when all are free', async () => {
    const [port = 0] = await freePorts(1)
    await expect(requireFreePorts([{ name: 'Kafka', port, variable: 'MILLRACE_KAFKA_PORT' }])).resolves.toBeUndefined()
  })

  it('names every taken port with its owner and the variable to set', async () => {
    const first = await listen()
    const second = await listen()
    const wanted = [
      { name: 'Kafka', port: first, variable: 'MILLRACE_KAFKA_PORT' },
      { name: 'MariaDB', port: second, variable: 'MILLRACE_MYSQL_PORT' },
    ]
    const message = await requireFreePorts(wanted).catch((error: Error) => error.message)
    expect(message).toContain('[PORT_TAKEN]')
    for (const { name, port, variable } of wanted) {
      expect(message).toMatch(new RegExp(`port ${port} for ${name} is taken by .*${variable}=`))
    }
    if (process.platform === 'linux') expect(message).toContain(`process ${process.pid}`)
  })

  it('refuses the same port for two servers', async () => {
    const [port = 0] = await freePorts(1)
    const wanted = [
      { name: 'Kafka', port, variable: 'A' },
      { name: 'MariaDB', port, variable: 'B' },
    ]
    await expect(requireFreePorts(wanted)).rejects.toThrow('Kafka (A) and MariaDB (B)')
  })
})

it('isFree tells a port that is listened on from one that is not', async () => {
  const port = await listen()
  expect(await isFree(port)).toBe(false)
  const [free = 0] = await freePorts(1)
  expect(await isFree(free)).toBe(true)
})

it('freePorts gives different ports', async () => {
  expect(new Set(await freePorts(10)).size).toBe(10)
})

describe('ownerOf', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-proc-'))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('finds the process whose socket listens, in a /proc', async () => {
    mkdirSync(join(folder, 'net'), { recursive: true })
    mkdirSync(join(folder, '4242', 'fd'), { recursive: true })
    const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
    const connected = '   0: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 77 1'
    const listening = '   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 88 1'
    writeFileSync(join(folder, 'net', 'tcp'), [header, connected, listening].join('\n'))
    symlinkSync('socket:[88]', join(folder, '4242', 'fd', '7'))
    writeFileSync(join(folder, '4242', 'cmdline'), 'java\0-jar\0other.jar\0')
    expect(await ownerOf(8080, folder)).toEqual({ pid: 4242, command: 'java -jar other.jar' })
    expect(await ownerOf(8081, folder)).toBeUndefined()
  })
})
