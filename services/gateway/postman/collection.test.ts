import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../test/test-app.ts'
import { type PostmanCollection, postmanCollection } from './collection.ts'
import { postmanFiles, postmanFolder } from './files.ts'

let test: TestApp
let collection: PostmanCollection
beforeAll(async () => {
  test = await openTestApp()
  collection = postmanCollection(test.app.apiDocument())
})
afterAll(() => test.close())

describe('the Postman collection', () => {
  it('is committed as it is made: `npm run postman` writes it', () => {
    for (const [name, bytes] of postmanFiles(test.app.apiDocument())) {
      const file = readFileSync(new URL(`../../../${postmanFolder}/${name}`, import.meta.url))
      expect(file.equals(bytes), `${postmanFolder}/${name} is not what the routes say: run "npm run postman"`).toBe(
        true,
      )
    }
  })

  it('has every operation, in every form of its body', () => {
    const requests = collection.item.flatMap(({ item }) =>
      item.map(({ request }) => `${request.method} ${request.url.raw}`),
    )
    const documented = Object.entries(test.app.apiDocument().paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { requestBody }]) => {
        const url = `{{baseUrl}}${path.replace(/\{(\w+)\}/g, ':$1')}`
        const forms = requestBody === undefined ? 1 : Object.keys(requestBody.content).length
        return new Array<string>(forms).fill(`${method.toUpperCase()} ${url}`)
      }),
    )
    expect(requests.sort()).toEqual(documented.sort())
  })

  it('keeps the tokens of a login and of a refresh', () => {
    const keeping = collection.item.flatMap(({ item }) => item.filter(({ event }) => event !== undefined))
    expect(keeping.map(({ request }) => request.url.raw)).toEqual([
      '{{baseUrl}}/api/v1/login',
      '{{baseUrl}}/api/v1/token/refresh',
    ])
    for (const { request } of keeping) expect(request.auth).toEqual({ type: 'noauth' })
  })

  it('names no variable that it does not have', () => {
    const known = collection.variable.map(({ key }) => key)
    const used = [...JSON.stringify(collection).matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name)
    expect([...new Set(used)].filter((name) => !known.includes(name ?? ''))).toEqual([])
  })
})
