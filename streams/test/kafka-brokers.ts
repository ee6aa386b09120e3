/** The brokers for integration tests, from `MILLRACE_KAFKA_BROKERS`; a test without one fails. */
export function kafkaBrokers(): readonly string[] {
  const text = process.env.MILLRACE_KAFKA_BROKERS
  if (text === undefined || text === '')
    throw new Error('MILLRACE_KAFKA_BROKERS is not set: give host:port of a running Kafka')
  return text.split(',')
}
