import type { Ports } from './config.ts'
import type { Folders } from './folders.ts'
import { registryUrl } from './registry.ts'

/** The accounts that are seeded on a development stack, and only there. */
export const developmentAccounts = {
  admin: { username: 'admin', password: 'password', can: 'everything' },
  user: { username: 'user', password: 'password123', can: 'submits leads' },
  producer: { username: 'api_user', password: 'api123', can: 'posts events' },
  analyst: { username: 'analyst', password: 'analyst123', can: 'reads events and statistics' },
} as const

/** Where the gateway and its page are. */
export function gatewayUrl(ports: Ports): string {
  return `http://127.0.0.1:${ports.gateway}`
}

/** What a person sees when everything runs: where things are, who may log in, and a first event. */
export function welcomeText(ports: Ports, folders: Folders): string {
  const url = gatewayUrl(ports)
  const addresses = [
    ['page', `${url}/`],
    ['API', `${url}/docs`],
    ['Kafka', `127.0.0.1:${ports.kafka}`],
    ['schema registry', registryUrl(ports.registry)],
    ['ClickHouse', `http://127.0.0.1:${ports.clickhouse}`],
    ['MariaDB', `127.0.0.1:${ports.mysql}`],
  ]
  const accounts = Object.values(developmentAccounts).map(({ username, password, can }) => [
    `${username} / ${password}`,
    can,
  ])
  return `
Millrace runs.

${table(addresses)}

Accounts:
${table(accounts)}

A first event:
${firstEvent(url)}

Data, logs and passwords of the databases: ${folders.instance}
Stop with Ctrl-C.
`
}

/** One line for a shell that logs in and posts an event. Needs curl, sed and date. */
export function firstEvent(url: string): string {
  const { username, password } = developmentAccounts.producer
  const login = `curl -s ${url}/api/v1/login -H 'content-type: application/json' -d '{"username":"${username}","password":"${password}"}'`
  const token = `$(${login} | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')`
  const event = `{"event_id":"hello-'$(date +%s)'","user_id":"me","event_type":"hello","timestamp":'$(date +%s)',"metadata":{"value":42}}`
  return `  curl -i ${url}/events -H "authorization: Bearer ${token}" -H 'content-type: application/json' -d '${event}'`
}

function table(rows: readonly (readonly string[])[]): string {
  const width = Math.max(...rows.map(([first = '']) => first.length)) + 3
  return rows.map(([first = '', second = '']) => `  ${first.padEnd(width)}${second}`).join('\n')
}
