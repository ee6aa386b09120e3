import type { PageRequest, Pages } from '@millrace/kit'
import {
  type AppSnapshot,
  hasCode,
  type ReadOnlyStore,
  type StoreOwner,
  type StoreSnapshot,
  StreamsError,
} from '@millrace/streams'
import { PageError, problemOf } from './page-error.ts'
import { rowBody, snapshotBody, storeBody } from './query-bodies.ts'
import {
  checkParameters,
  decoded,
  pageOptions,
  pageParameters,
  redirectedParameter,
  staleness,
  textRange,
  timeRange,
} from './query-parameters.ts'

/** What is asked here of the engine. */
export interface QueriedEngine {
  snapshot(): AppSnapshot
  stores(): Promise<readonly StoreSnapshot[]>
  store(name: string): ReadOnlyStore<string, unknown>
  ownerOf(store: string, key: string): StoreOwner
}

/**
 * The engine's stores and tasks over HTTP, to be read by people, the console and other members:
 *
 *     GET /stores                         what there is, and how much of it here
 *     GET /stores/:store/keys             rows of a key-value store that are here: from, to, limit, after
 *     GET /stores/:store/keys/:key        one row
 *     GET /stores/:store/windows          windows that are here: from, to, limit, after
 *     GET /stores/:store/windows/:key     windows of one key: from, to, limit, after
 *     GET /stores/:store/owner/:key       which member has a key
 *     GET /tasks                          tasks, lag, stream time, restores
 *
 * What it shows is committed. A key that another member has is redirected to it, once: that member does not redirect again, so that two members
 * with different views of a rebalance do not send a client to and fro. Errors are problems (RFC 9457).
 */
export function queryPages(engine: () => QueriedEngine | undefined): Pages {
  return {
    paths: [
      '/stores',
      '/stores/:store/keys',
      '/stores/:store/keys/:key',
      '/stores/:store/windows',
      '/stores/:store/windows/:key',
      '/stores/:store/owner/:key',
      '/tasks',
    ],
    async answer(request) {
      const segments = request.path.split('/').slice(1)
      const [root = ''] = segments
      if (root !== 'stores' && root !== 'tasks') return undefined
      try {
        const running = engine()
        if (running === undefined) throw new StreamsError('STORE_NOT_READY', 'the engine is starting; try again')
        const [, ...names] = segments.map(decoded)
        const body = root === 'tasks' ? tasksPage(running, names) : await storesPage(running, names, request.query)
        return body === undefined ? undefined : { status: 200, body }
      } catch (error) {
        const location = redirectionOf(error, request)
        return problemOf(error, { path: request.path, ...(location === undefined ? {} : { location }) })
      }
    },
  }
}

async function storesPage(
  engine: QueriedEngine,
  [name, part, key, ...rest]: readonly string[],
  query: URLSearchParams,
): Promise<unknown> {
  if (name === undefined) {
    checkParameters(query, [])
    return { stores: (await engine.stores()).map(storeBody) }
  }
  if (part === undefined || name === '' || key === '' || rest.length > 0) return undefined
  const read = pageParts[part]
  return read?.({ engine, name, key, query })
}

interface PartRequest {
  readonly engine: QueriedEngine
  readonly name: string
  readonly key: string | undefined
  readonly query: URLSearchParams
}

const pageParts: Readonly<Record<string, (request: PartRequest) => unknown>> = {
  keys: keysPage,
  windows: windowsPage,
  owner: ownerPage,
}

async function keysPage({ engine, name, key, query }: PartRequest): Promise<unknown> {
  const store = engine.store(name)
  if (store.kind !== 'key-value')
    throw new PageError('INVALID_QUERY', `store "${name}" has windows: ask /stores/${encodeURIComponent(name)}/windows`)
  if (key !== undefined) {
    checkParameters(query, ['stale_ok', redirectedParameter])
    const row = await store.get(key, staleness(query))
    if (row === undefined) throw new PageError('ROW_MISSING', `store "${name}" has no row of this key`)
    return { store: name, ...rowBody(row) }
  }
  checkParameters(query, ['from', 'to', ...pageParameters])
  const { rows, next } = await store.range({ ...textRange(query), ...pageOptions(query) })
  return { store: name, rows: rows.map(rowBody), next_cursor: next ?? null }
}

async function windowsPage({ engine, name, key, query }: PartRequest): Promise<unknown> {
  const store = engine.store(name)
  if (store.kind !== 'window')
    throw new PageError('INVALID_QUERY', `store "${name}" has no windows: ask /stores/${encodeURIComponent(name)}/keys`)
  checkParameters(query, ['from', 'to', redirectedParameter, ...pageParameters])
  const range = { ...timeRange(query), ...pageOptions(query) }
  const { rows, next } = await (key === undefined ? store.fetchAll(range) : store.fetch(key, range))
  const windows = rows.map(({ startMs, endMs, ...row }) => ({
    window_start: startMs,
    window_end: endMs,
    ...rowBody(row),
  }))
  return { store: name, windows, next_cursor: next ?? null }
}

function ownerPage({ engine, name, key, query }: PartRequest): unknown {
  if (key === undefined) return undefined
  checkParameters(query, [])
  const { partition, endpoint, isLocal, standbys } = engine.ownerOf(name, key)
  return { store: name, key, partition, endpoint, local: isLocal, standbys }
}

function tasksPage(engine: QueriedEngine, rest: readonly string[]): unknown {
  return rest.length > 0 ? undefined : snapshotBody(engine.snapshot())
}

/** Where the rows are that the request asks for; undefined when that is not known, or the request comes from there. */
function redirectionOf(error: unknown, { path, query }: PageRequest): string | undefined {
  if (!hasCode(error, 'STORE_ELSEWHERE') || error.endpoint === undefined || query.has(redirectedParameter))
    return undefined
  const parameters = new URLSearchParams(query)
  parameters.set(redirectedParameter, 'true')
  return `${error.endpoint.replace(/\/+$/, '')}${path}?${parameters}`
}
