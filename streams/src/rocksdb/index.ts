export { openRocksDbStores, type RocksDbStoresOptions } from './rocksdb-stores.ts'
