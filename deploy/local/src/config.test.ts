import { describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'

describe('readConfig', () => {
  it('has a default for everything', () => {
    const { ports, instance, cache, logLevel, mysqld } = readConfig({}, '/project')
    expect(ports).toEqual({
      gateway: 8080,
      kafka: 9092,
      kafkaController: 9093,
      registry: 8081,
      registryManagement: 8082,
      mysql: 3306,
      clickhouse: 8123,
      processorHealth: 8090,
      sinkClickhouseHealth: 8091,
      sinkMysqlHealth: 8092,
    })
    expect([instance, cache, logLevel, mysqld]).toEqual(['/project/.millrace', '/project/.millrace', 'info', undefined])
  })

  it('moves the ports that follow another one', () => {
    const { ports } = readConfig({ MILLRACE_KAFKA_PORT: '19092', MILLRACE_REGISTRY_PORT: '18081' }, '/project')
    expect([ports.kafkaController, ports.registryManagement]).toEqual([19_093, 18_082])
  })

  it('keeps the downloads in the project when the data is elsewhere', () => {
    const { instance, cache } = readConfig({ MILLRACE_DIR: '../data' }, '/project')
    expect([instance, cache]).toEqual(['/data', '/project/.millrace'])
  })

  it('takes a database server of the user, which has to be a program', () => {
    expect(readConfig({ MILLRACE_MYSQLD: process.execPath }, '/project').mysqld).toBe(process.execPath)
    expect(() => readConfig({ MILLRACE_MYSQLD: '/nowhere/mysqld' }, '/project')).toThrow(
      /MILLRACE_MYSQLD must be the path of a mysqld or mariadbd .* not "\/nowhere\/mysqld"/,
    )
  })

  it('lists every problem at once', () => {
    const read = () =>
      readConfig({ MILLRACE_KAFKA_PORT: 'x', MILLRACE_MYSQL_PORT: '70000', MILLRACE_LOG_LEVEL: 'loud' }, '/project')
    expect(read).toThrow(/MILLRACE_KAFKA_PORT.*"x"[\s\S]*MILLRACE_MYSQL_PORT.*"70000"[\s\S]*MILLRACE_LOG_LEVEL.*"loud"/)
  })
})
