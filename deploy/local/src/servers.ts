import { clickhouseServer } from './clickhouse.ts'
import { concurrently } from './concurrently.ts'
import { type LauncherConfig, portSettings } from './config.ts'
import type { Folders } from './folders.ts'
import { obtainJava, systemSearch } from './java.ts'
import { fetchKafka, kafkaServer } from './kafka.ts'
import { installedServer, mariadbServer, obtainMariadb } from './mariadb.ts'
import type { Maven } from './maven.ts'
import type { WantedPort } from './ports.ts'
import { fetchRegistry, registryServer } from './registry.ts'
import type { Secrets } from './secrets.ts'
import type { Stack } from './stack.ts'

/** In what order things stop: the highest rank first. */
export const ranks = { server: 0, registry: 1, worker: 2, gateway: 3 } as const

/** The programs of the four servers, fetched. */
export interface Programs {
  readonly java: Awaited<ReturnType<typeof obtainJava>>
  readonly kafkaJars: string
  readonly registryHome: string
  readonly mariadb: Awaited<ReturnType<typeof obtainMariadb>>
}

/** Fetches what is missing, one after another, with progress. Quick when everything is there. */
export async function obtainPrograms(options: {
  folders: Folders
  mysqld: string | undefined
  environment: Readonly<Record<string, string | undefined>>
  report: (line: string) => void
  signal: AbortSignal
}): Promise<Programs> {
  const { folders, mysqld, environment, report, signal } = options
  const java = await obtainJava({ search: systemSearch(environment), cacheFolder: folders.servers, report, signal })
  const maven: Maven = { java, environment, report, signal }
  return {
    java,
    kafkaJars: await fetchKafka(maven, folders),
    registryHome: await fetchRegistry(maven, folders),
    mariadb: mysqld === undefined ? await obtainMariadb(maven, folders) : installedServer(mysqld),
  }
}

/** Starts the four servers: three at once, and the registry as soon as its Kafka is there. */
export async function startServers(
  stack: Stack,
  options: {
    programs: Programs
    config: LauncherConfig
    folders: Folders
    secrets: Secrets
    environment: Readonly<Record<string, string>>
    signal: AbortSignal
  },
): Promise<void> {
  const { programs, config, folders, secrets, environment, signal } = options
  const { ports } = config
  const common = { folders, environment }
  const kafka = kafkaServer({
    ...common,
    java: programs.java,
    jars: programs.kafkaJars,
    port: ports.kafka,
    controllerPort: ports.kafkaController,
  })
  const registry = registryServer({
    ...common,
    java: programs.java,
    home: programs.registryHome,
    port: ports.registry,
    managementPort: ports.registryManagement,
    kafkaPort: ports.kafka,
  })
  const mariadb = mariadbServer({ ...common, server: programs.mariadb, port: ports.mysql, secrets })
  const clickhouse = clickhouseServer({ ...common, port: ports.clickhouse, secrets })
  await concurrently(signal, [
    async (starting) => {
      await stack.start(kafka, ranks.server, starting)
      await stack.start(registry, ranks.registry, starting)
    },
    (starting) => stack.start(mariadb, ranks.server, starting),
    (starting) => stack.start(clickhouse, ranks.server, starting),
  ])
}

/** The ports that will be listened on, with their variables. */
export function wantedPorts(config: LauncherConfig, serversOnly: boolean): WantedPort[] {
  const ofServices = new Set(['gateway', 'processorHealth', 'sinkClickhouseHealth', 'sinkMysqlHealth'])
  return portSettings
    .filter(({ key }) => !serversOnly || !ofServices.has(key))
    .map(({ key, variable, title }) => ({ name: title, port: config.ports[key], variable }))
}
