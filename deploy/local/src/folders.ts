import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** Where the launcher keeps things. All of it is under one git-ignored folder, and only what was fetched or compiled survives `--fresh`. */
export interface Folders {
  /** The checkout. */
  readonly root: string
  /** Downloaded servers, by name and version; shared by `npm start` and `npm test`. */
  readonly servers: string
  /** Our sources with their types stripped, compiled by Node: only to start faster. */
  readonly compiled: string
  /** What this instance owns: everything below is inside. */
  readonly instance: string
  readonly data: string
  readonly logs: string
  readonly state: string
  /** Process ids, generated server configuration: only of interest while the instance runs. */
  readonly run: string
  readonly secretsFile: string
  readonly lockFile: string
  /** The servers' addresses and accounts as environment variables, for programs; there while the instance runs. */
  readonly envFile: string
}

/** Names the folders of an instance. `cache` holds the downloads, `instance` the data. Creates nothing. */
export function layFolders(paths: { root: string; cache: string; instance: string }): Folders {
  const { root, cache, instance } = paths
  return {
    root,
    servers: join(cache, 'servers'),
    compiled: join(cache, 'compiled'),
    instance,
    data: join(instance, 'data'),
    logs: join(instance, 'logs'),
    state: join(instance, 'state'),
    run: join(instance, 'run'),
    secretsFile: join(instance, 'secrets.json'),
    lockFile: join(instance, 'launcher.lock'),
    envFile: join(instance, 'env.json'),
  }
}

/** Creates the folders of an instance, readable by their owner only: they hold secrets and people's data. */
export function createFolders(folders: Folders): void {
  for (const folder of [folders.instance, folders.data, folders.logs, folders.state, folders.run]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }
  mkdirSync(folders.servers, { recursive: true })
}
