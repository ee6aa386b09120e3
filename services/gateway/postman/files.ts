import type { ApiDocument } from '../src/http/api-document.ts'
import { containerFile, postmanCollection } from './collection.ts'

/** Of the project's folder. */
export const postmanFolder = 'docs/postman'

/** What is committed below `postmanFolder`, by file name. */
export function postmanFiles(document: ApiDocument): ReadonlyMap<string, Buffer> {
  const bodies = document.paths['/api/v1/events']?.post?.requestBody?.content ?? {}
  const [example] = Object.values(bodies['application/avro']?.examples ?? {})
  if (example === undefined || !('value' in example))
    throw new Error('the document has no example of an Avro container')
  return new Map([
    ['millrace.postman_collection.json', Buffer.from(`${JSON.stringify(postmanCollection(document), null, 2)}\n`)],
    [containerFile, Buffer.from(String(example.value), 'base64')],
  ])
}
