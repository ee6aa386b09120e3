import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openTestApp } from '../test/test-app.ts'
import { postmanFiles, postmanFolder } from './files.ts'

// `npm run postman`: writes the collection anew. The document comes of the routes, so no server is needed.
const folder = new URL(`../../../${postmanFolder}/`, import.meta.url)
const test = await openTestApp()
mkdirSync(folder, { recursive: true })
for (const [name, bytes] of postmanFiles(test.app.apiDocument())) {
  const file = new URL(name, folder)
  writeFileSync(file, bytes)
  process.stdout.write(`${fileURLToPath(file)}: ${bytes.length} bytes\n`)
}
await test.close()
