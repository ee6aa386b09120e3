// Driving topologies in unit tests.

export type { StoreRow } from './driver-rows.ts'
// Standing in for a cluster.
export {
  FakeBroker,
  type FakeBrokerOptions,
  type FakeFault,
  type FakeOperation,
  type FakeRecord,
} from './fake-broker.ts'
export { ManualClock } from './manual-clock.ts'
export {
  type CrashPoint,
  type TestOutput,
  type TestRecord,
  type TestSerdes,
  TopologyDriver,
  type TopologyDriverOptions,
} from './topology-driver.ts'
