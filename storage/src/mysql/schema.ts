import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  char,
  check,
  customType,
  datetime,
  double,
  index,
  int,
  longtext,
  mysqlTable,
  primaryKey,
  smallint,
  uniqueIndex,
  varchar,
} from 'drizzle-orm/mysql-core'

/*
 * The tables as Drizzle sees them. `migrations/*.sql` makes them, in the common subset of MySQL 8.4 and MariaDB 11.4; a test holds both to
 * each other, column by column and index by index. Times are UTC with milliseconds. Ids are ASCII and compared byte by byte (the
 * migrations say so: Drizzle has no word for collations).
 */

function time(name: string) {
  return datetime(name, { fsp: 3, mode: 'date' })
}

const blob = customType<{ data: Buffer }>({ dataType: () => 'blob' })
const varbinary = customType<{ data: Buffer; config: { length: number }; configRequired: true }>({
  dataType: ({ length }) => `varbinary(${length})`,
})

/** Accounts. The names of roles are those of `accounts/roles.ts`. */
export const users = mysqlTable(
  'users',
  {
    id: char('id', { length: 36 }).primaryKey(),
    username: varchar('username', { length: 64 }).notNull(),
    passwordHash: varchar('password_hash', { length: 255 }).notNull(),
    role: varchar('role', { length: 32 }).notNull(),
    disabled: boolean('disabled').notNull().default(false),
    createdAt: time('created_at').notNull(),
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [uniqueIndex('users_username').on(table.username)],
)

/**
 * Who is logged in: one row per login, and the one refresh token that is good for it at the moment. `refresh_id` stays for the session's life;
 * only holders of one of its tokens know it.
 */
export const sessions = mysqlTable(
  'sessions',
  {
    id: char('id', { length: 36 }).primaryKey(),
    userId: char('user_id', { length: 36 }).notNull(),
    refreshId: char('refresh_id', { length: 22 }).notNull(),
    refreshHash: char('refresh_hash', { length: 64 }).notNull(),
    createdAt: time('created_at').notNull(),
    refreshedAt: time('refreshed_at').notNull(),
    expiresAt: time('expires_at').notNull(),
    endedAt: time('ended_at'),
    endReason: varchar('end_reason', { length: 32 }),
  },
  (table) => [
    uniqueIndex('sessions_refresh').on(table.refreshId),
    index('sessions_user').on(table.userId),
    index('sessions_expires').on(table.expiresAt),
  ],
)

/** Keys of machines. Each belongs to an account and can do no more than that one. */
export const apiKeys = mysqlTable(
  'api_keys',
  {
    id: char('id', { length: 16 }).primaryKey(),
    secretHash: char('secret_hash', { length: 64 }).notNull(),
    userId: char('user_id', { length: 36 }).notNull(),
    label: varchar('label', { length: 128 }).notNull(),
    /** Separated by spaces. */
    scopes: varchar('scopes', { length: 1_024 }).notNull(),
    createdAt: time('created_at').notNull(),
    expiresAt: time('expires_at').notNull(),
    revokedAt: time('revoked_at'),
    lastUsedAt: time('last_used_at'),
  },
  (table) => [index('api_keys_user').on(table.userId)],
)

/** Failed logins per account, by a keyed hash: names of accounts that do not exist may be passwords typed into the wrong field. */
export const loginAttempts = mysqlTable(
  'login_attempts',
  {
    nameHash: char('name_hash', { length: 64 }).primaryKey(),
    failures: int('failures').notNull(),
    windowEndsAt: time('window_ends_at').notNull(),
  },
  (table) => [index('login_attempts_window').on(table.windowEndsAt)],
)

/** Who did what to whose access. Append-only: each entry's hash covers the one before it. Holds ids, never names or addresses. */
export const auditLog = mysqlTable(
  'audit_log',
  {
    seq: bigint('seq', { mode: 'number' }).primaryKey(),
    at: time('at').notNull(),
    action: varchar('action', { length: 64 }).notNull(),
    actor: varchar('actor', { length: 64 }),
    subject: varchar('subject', { length: 64 }),
    requestId: varchar('request_id', { length: 64 }),
    detail: varchar('detail', { length: 255 }).notNull(),
    previousHash: char('previous_hash', { length: 64 }).notNull(),
    hash: char('hash', { length: 64 }).notNull(),
  },
  (table) => [index('audit_log_subject').on(table.subject, table.seq)],
)

/** One row, the end of the audit log's chain. */
export const auditHead = mysqlTable('audit_head', {
  id: int('id').primaryKey(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
  hash: char('hash', { length: 64 }).notNull(),
})

/**
 * Leads as they were submitted. Everything personal is in `sealed`, under the key that `key_tree` and `key_leaf` name; the columns beside it are what leads are found by.
 * `source_partition` and `source_offset` are the place of the record that was stored: the record whose place this is was
 * `stored`, any other one with the same id was a duplicate or a conflict.
 */
export const leads = mysqlTable(
  'leads',
  {
    leadId: char('lead_id', { length: 36 }).primaryKey(),
    source: varchar('source', { length: 255 }),
    campaign: varchar('campaign', { length: 255 }),
    consent: boolean('consent'),
    attributes: longtext('attributes').notNull(),
    status: varchar('status', { length: 32 }).notNull(),
    contentHash: char('content_hash', { length: 64 }).notNull(),
    submittedBy: varchar('submitted_by', { length: 128 }).notNull(),
    requestId: varchar('request_id', { length: 64 }).notNull(),
    receivedAt: time('received_at').notNull(),
    storedAt: time('stored_at').notNull(),
    sourcePartition: int('source_partition').notNull(),
    sourceOffset: bigint('source_offset', { mode: 'number' }).notNull(),
    duplicateOf: char('duplicate_of', { length: 36 }),
    keyTree: char('key_tree', { length: 16 }),
    keyLeaf: int('key_leaf'),
    emailHash: char('email_hash', { length: 22 }),
    phoneHash: char('phone_hash', { length: 22 }),
    sealed: blob('sealed'),
  },
  (table) => [
    index('leads_received').on(table.receivedAt, table.leadId),
    index('leads_status_received').on(table.status, table.receivedAt, table.leadId),
    index('leads_source_received').on(table.source, table.receivedAt, table.leadId),
    index('leads_source_status_received').on(table.source, table.status, table.receivedAt, table.leadId),
    index('leads_email_hash').on(table.emailHash),
    index('leads_phone_hash').on(table.phoneHash),
    check('leads_attributes_json', sql`json_valid(${table.attributes})`),
  ],
)

/**
 * What is left of the trees of keys: seeds, wrapped by the master key. Nodes of a tree are apart; a leaf that none of them covers was destroyed. A backup of this table
 * brings keys back.
 */
export const leadKeyNodes = mysqlTable(
  'lead_key_nodes',
  {
    treeId: char('tree_id', { length: 16 }).notNull(),
    firstLeaf: int('first_leaf').notNull(),
    lastLeaf: int('last_leaf').notNull(),
    wrappedSeed: varbinary('wrapped_seed', { length: 60 }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.treeId, table.firstLeaf] })],
)

/** Keys of further records with a lead's id: sent again, conflicting or refused ones. They are destroyed together with the lead's own. */
export const leadCopies = mysqlTable(
  'lead_copies',
  {
    leadId: char('lead_id', { length: 36 }).notNull(),
    keyTree: char('key_tree', { length: 16 }).notNull(),
    keyLeaf: int('key_leaf').notNull(),
  },
  (table) => [primaryKey({ columns: [table.leadId, table.keyTree, table.keyLeaf] })],
)

/**
 * The first lead of each person and source: what makes later ones duplicates. `identity` is that of `sealing/lead-hashes.ts`. Who stores leads holds these rows until the
 * leads are committed.
 */
export const leadFirsts = mysqlTable('lead_firsts', {
  identity: char('identity', { length: 22 }).primaryKey(),
  leadId: char('lead_id', { length: 36 }).notNull(),
  receivedAt: time('received_at').notNull(),
})

/** A row for each attribute of a lead that can be asked for; what `value` holds is in `lead-attributes.ts`. In the clear, as `leads.attributes`, and as long. */
export const leadAttributes = mysqlTable(
  'lead_attributes',
  {
    name: varchar('name', { length: 64 }).notNull(),
    value: varbinary('value', { length: 40 }).notNull(),
    receivedAt: time('received_at').notNull(),
    leadId: char('lead_id', { length: 36 }).notNull(),
    source: varchar('source', { length: 255 }),
  },
  (table) => [primaryKey({ columns: [table.name, table.value, table.receivedAt, table.leadId] })],
)

/**
 * What became of leads, and when, beyond what their rows tell: `received_at` and `stored_at` are the steps that every stored one has. Holds no content, so it outlives the lead's erasure; rejected leads
 * have no other row.
 */
export const leadHistory = mysqlTable(
  'lead_history',
  {
    leadId: char('lead_id', { length: 36 }).notNull(),
    at: time('at').notNull(),
    status: varchar('status', { length: 16 }).notNull(),
    reason: varchar('reason', { length: 255 }),
  },
  (table) => [primaryKey({ columns: [table.leadId, table.at, table.status] })],
)

/** What leads of a source carry in their attributes. The source is compared byte by byte; '' stands for leads that name none. */
export const leadFields = mysqlTable(
  'lead_fields',
  {
    id: char('id', { length: 36 }).primaryKey(),
    source: varchar('source', { length: 255 }).notNull(),
    version: int('version').notNull(),
    undefinedAttributes: varchar('undefined_attributes', { length: 16 }).notNull(),
    /** A JSON array. */
    fields: longtext('fields').notNull(),
    changedAt: time('changed_at').notNull(),
  },
  (table) => [
    uniqueIndex('lead_fields_source').on(table.source),
    check('lead_fields_json', sql`json_valid(${table.fields})`),
  ],
)

/** One row, how often `lead_fields` was changed. */
export const leadFieldsHead = mysqlTable('lead_fields_head', {
  id: int('id').primaryKey(),
  changes: bigint('changes', { mode: 'number' }).notNull(),
})

/** Requests of the API: metadata, no bodies. */
export const apiRequestLogs = mysqlTable(
  'api_request_logs',
  {
    requestId: varchar('request_id', { length: 64 }).notNull(),
    method: varchar('method', { length: 16 }).notNull(),
    route: varchar('route', { length: 255 }).notNull(),
    principal: varchar('principal', { length: 128 }),
    role: varchar('role', { length: 32 }),
    receivedAt: time('received_at').notNull(),
    requestBytes: bigint('request_bytes', { mode: 'number' }).notNull(),
    contentType: varchar('content_type', { length: 255 }),
    storedAt: time('stored_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.requestId, table.receivedAt] }),
    index('api_request_logs_received').on(table.receivedAt),
    index('api_request_logs_principal').on(table.principal, table.receivedAt),
    index('api_request_logs_route').on(table.route, table.receivedAt),
  ],
)

/** The responses to `api_request_logs`, by the same request id. */
export const apiResponseLogs = mysqlTable(
  'api_response_logs',
  {
    requestId: varchar('request_id', { length: 64 }).notNull(),
    respondedAt: time('responded_at').notNull(),
    status: smallint('status').notNull(),
    responseBytes: bigint('response_bytes', { mode: 'number' }).notNull(),
    durationMs: double('duration_ms').notNull(),
    errorCode: varchar('error_code', { length: 64 }),
    accepted: int('accepted'),
    rejected: int('rejected'),
    storedAt: time('stored_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.requestId, table.respondedAt] }),
    index('api_response_logs_responded').on(table.respondedAt),
    index('api_response_logs_status').on(table.status, table.respondedAt),
  ],
)

/**
 * How far each partition is stored. `next_offset` changes only together with the rows. `settled_offset` says up to where what follows from
 * storing (outcomes, dead letters) is known to be produced: it lags behind, so a restart may produce some of it again, and never misses any.
 */
export const sinkOffsets = mysqlTable(
  'sink_offsets',
  {
    consumerGroup: varchar('consumer_group', { length: 128 }).notNull(),
    topic: varchar('topic', { length: 249 }).notNull(),
    partitionNumber: int('partition_number').notNull(),
    nextOffset: bigint('next_offset', { mode: 'number' }).notNull(),
    settledOffset: bigint('settled_offset', { mode: 'number' }).notNull(),
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.consumerGroup, table.topic, table.partitionNumber] })],
)

/** Records that the database, or a rule before it, refused: kept so that a restart derives the same outcome. Holds no content. */
export const sinkRejections = mysqlTable(
  'sink_rejections',
  {
    topic: varchar('topic', { length: 249 }).notNull(),
    partitionNumber: int('partition_number').notNull(),
    recordOffset: bigint('record_offset', { mode: 'number' }).notNull(),
    reason: varchar('reason', { length: 255 }).notNull(),
    rejectedAt: time('rejected_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.topic, table.partitionNumber, table.recordOffset] })],
)

/** Migrations that were applied, with the checksum of the file that was. */
export const schemaMigrations = mysqlTable('schema_migrations', {
  name: varchar('name', { length: 128 }).primaryKey(),
  checksum: char('checksum', { length: 64 }).notNull(),
  appliedAt: time('applied_at').notNull(),
})
