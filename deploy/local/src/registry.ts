import { join } from 'node:path'
import type { Component } from './component.ts'
import type { Folders } from './folders.ts'
import type { Java } from './java.ts'
import { limits } from './limits.ts'
import { fetchUnpacked, type Maven } from './maven.ts'
import { answersOk } from './probe.ts'
import { versions } from './versions.ts'

/** Fetches Apicurio Registry once and answers its folder. */
export async function fetchRegistry(maven: Maven, folders: Folders): Promise<string> {
  const folder = join(folders.servers, `apicurio-registry-${versions.registry}`)
  const coordinate = `io.apicurio:apicurio-registry-app:${versions.registry}:tar.gz:all`
  await fetchUnpacked(maven, `Apicurio Registry ${versions.registry} (159 MB)`, folder, coordinate)
  return folder
}

/** What a schema registry of ours needs to know. */
export interface RegistryOptions {
  readonly java: Java
  readonly home: string
  readonly folders: Folders
  readonly port: number
  readonly managementPort: number
  readonly kafkaPort: number
  readonly environment: Readonly<Record<string, string>>
}

/** Apicurio Registry, which keeps its data in Kafka and speaks the Confluent registry's API under `/apis/ccompat/v7`. */
export function registryServer(options: RegistryOptions): Component {
  const { port } = options
  const properties = {
    'quarkus.http.host': '127.0.0.1',
    'quarkus.http.port': port,
    'quarkus.management.host': '127.0.0.1',
    // Its default, 9000, is ClickHouse's native port.
    'quarkus.management.port': options.managementPort,
    'quarkus.http.access-log.enabled': false,
    'apicurio.storage.kind': 'kafkasql',
    'apicurio.kafkasql.bootstrap.servers': `127.0.0.1:${options.kafkaPort}`,
    // It polls its topics to their end with this wait, several times during a start: 5 s would make 28 s of it.
    'apicurio.kafkasql.consumer.poll.timeout': 200,
  }
  return {
    name: 'registry',
    title: `Apicurio Registry ${versions.registry}`,
    address: registryUrl(port),
    readyDeadlineMs: limits.readyDeadlineMs.registry,
    prepare: async () => undefined,
    // It listens before its storage is ready; the list of subjects needs the storage.
    isReady: (signal) => answersOk(`${registryUrl(port)}/subjects`, signal),
    spec: {
      name: 'registry',
      kind: 'registry',
      command: join(options.java.home, 'bin', 'java'),
      args: [
        '-Xms32m',
        '-Xmx192m',
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
        '-jar',
        join(options.home, 'quarkus-run.jar'),
      ],
      env: { ...options.environment },
      cwd: options.folders.run,
    },
  }
}

/** The address of the Confluent-compatible API. */
export function registryUrl(port: number): string {
  return `http://127.0.0.1:${port}/apis/ccompat/v7`
}
