import { describeByteStores } from '../testing/contracts/store.ts'
import { memoryStores } from './memory-store.ts'

let places = 0

describeByteStores('memory', { create: async () => memoryStores(`process-${places++}`) })
