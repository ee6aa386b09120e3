import { describeBrokerContract } from './contracts/broker.ts'
import { FakeBroker } from './fake-broker.ts'

describeBrokerContract('the fake broker', async () => {
  const broker = new FakeBroker()
  return {
    broker,
    close: async () => {},
  }
})
