/** Rows of one multi-row statement: larger ones gain nothing measurable and hold locks for longer. */
export const statementRowsMax = 500

/**
 * How long after the first lead of a person and source others are its duplicates: as long as the topic keeps leads, so that a database that is filled from the
 * topic again flags the same ones.
 */
export const duplicateWindowMsDefault = 30 * 86_400_000

/** Leads of one person in one export: beyond it an address is no person's. */
export const leadsOfPersonMax = 500
/** Entries of the audit log about them. */
export const auditEntriesOfPersonMax = 10_000

/** Duplicates flagged by one statement: it names each lead's first, and the server goes through the list for each row. */
export const duplicateRowsMax = 100

/** Keys of one `IN (…)` list. */
export const lookupKeysMax = 1_000

/** Rows of one page. */
export const pageRowsMax = 1_000

/** How deep numbered pages go: MySQL reads and throws away every row before a page; further on there is the cursor. */
export const pageDepthRowsMax = 100_000

/** A total is counted up to here: counting a million index entries takes about 0.2 s. */
export const totalRowsMax = 1_000_000

/** Sources that have definitions of lead fields: every gateway holds all of them, compiled. */
export const leadSourcesMax = 100
/** Conditions on attributes of one listing. */
export const leadConditionsMax = 8
/** Leads that are looked at one by one to answer a question about attributes: some 100 ms. What may be met by more is looked for in the order of the page. */
export const candidatesMaxDefault = 10_000
/** Attributes of one lead that have a row each, to be found by: a lead with more is a candidate for every question about attributes. */
export const indexedAttributesMax = 32
/** Leads of one transaction when the rows of their attributes are made for an earlier version's. */
export const attributedLeadsMax = 1_000
/** Values of one condition. */
export const leadConditionValuesMax = 50
/** One statement of a listing. Conditions that many leads meet each, and few all of them together, may have every lead read: after this long the answer is that the question is too expensive. */
export const listingMsMax = 5_000
/**
 * A listing with conditions on attributes is tried in the order of its index first: a page of what many leads match is there after a few milliseconds. What takes longer
 * matches few. Of 200,000 leads on a busy machine, a page of a condition that every other one meets took 33 ms so, and one that 20 meet 18 s, against 2.6 s without the index.
 */
export const listingInOrderMsMax = 500
/** A total of leads with conditions on attributes is counted up to here, as each of them has to be read. */
export const totalWithConditionsMax = 10_000

/** Accounts of one listing: they are made by people, one at a time. */
export const usersMax = 1_000
/** Good keys of one account: one per machine and its successor. */
export const apiKeysMax = 100
/** Rows of one page when the audit log is verified. */
export const auditPageRows = 1_000
/** Expired rows that one statement deletes: more would hold their locks for longer than a login may wait. */
export const deletedRowsMax = 1_000

/** Connections of one process. */
export const poolConnectionsDefault = 8

/** Callers that may wait for a connection: more means that the database is too slow, and waiting would not cure it. */
export const poolWaitingMax = 1_000

export const connectTimeoutMsDefault = 5_000
/** One call of a repository: a transaction of a few statements. A stalled database must not hold a sink for ever. */
export const callTimeoutMsDefault = 15_000
/** Reading whether somebody may be let in: a request waits for it, and there are copies to go on with when it takes longer. */
export const accessTimeoutMs = 3_000
/** A lock held for longer belongs to something stuck; the caller retries. */
export const lockWaitSeconds = 5

/** How long one migration run waits for another one. */
export const migrationLockSeconds = 60
/** A migration may rebuild a table. */
export const migrationTimeoutMs = 600_000

/** Days of the API's log that have a partition before they begin: as long as nobody may look after it. */
export const partitionDaysAhead = 7
/** How long a change of partitions waits for those who use the table. Everybody who comes later waits behind it, so it is less than a call may take. */
export const partitionLockSeconds = 2
/** The first change after the migration moves every row to its day; all others take milliseconds. */
export const partitionTimeoutMs = 600_000

/** DATETIME's last millisecond, 9999-12-31T23:59:59.999Z. */
export const dateTimeMaxMs = 253_402_300_799_999

/** Leaves of a tree of keys that lie no further apart are read together: of as many, erased leads leave few nodes between. */
export const keyRunGapMax = 256
/** Runs of leaves of one query: each takes up to 25 values. */
export const keyRunsMax = 40
/** How often the node above a key is looked for when others replace it meanwhile: each time one of them has come to its end. */
export const destroyAttemptsMax = 100
/** Leads of one transaction when those of an earlier version are sealed. */
export const sealedRowsMax = 1_000

/** One question of reconciliation: it reads an hour of leads or API logs by their index of times, and nobody waits for it. */
export const reconciliationMsMax = 10_000
