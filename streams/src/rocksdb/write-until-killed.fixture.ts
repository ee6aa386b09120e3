import { writeSync } from 'node:fs'
import { openRocksDbStores } from './rocksdb-stores.ts'

// Writes ten rows and an offset at a time, and prints the offset when the write is acknowledged, until it is killed.
const provider = await openRocksDbStores({ directory: process.argv[2] ?? '', stores: ['first'] })
const store = await provider.open('first', 0)
for (let offset = 1; ; offset++) {
  const rows = Array.from({ length: 10 }, (_, index) => ({
    key: Buffer.from(`${offset}-${index}`),
    value: Buffer.alloc(100, index),
  }))
  await store.write(rows, offset)
  writeSync(1, `${offset}\n`)
}
