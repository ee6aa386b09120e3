import { connectKafka } from '../src/kafka/index.ts'
import { describeBrokerContract } from '../src/testing/contracts/broker.ts'
import { kafkaBrokers } from './kafka-brokers.ts'

describeBrokerContract('Kafka', async () => ({
  broker: connectKafka({ brokers: kafkaBrokers(), clientId: 'contract' }),
  close: async () => {},
}))
