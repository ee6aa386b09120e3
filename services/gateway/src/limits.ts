/** Every bound of the gateway, with its reason. What an operator may want to change is in `config.ts`. */

// HTTP
/** Bodies of routes that take one thing: a lead with every field filled has about 4 KiB. */
export const bodyBytesMax = 64 * 1024
/** Bodies of routes that take up to 10,000 things: room for 800 bytes each. */
export const batchBodyBytesMax = 8 * 1024 * 1024
/** A compressed body is decompressed in pieces of this size: fewer turns of the thread pool than with Node's 16 KiB. */
export const inflateChunkBytes = 64 * 1024
/** How many times larger a body may become; events of one kind reach 30. Up to `inflateFreeBytes` it does not matter. */
export const inflateRatioMax = 100
export const inflateFreeBytes = 256 * 1024
/** Zstandard may ask the reader for a window of up to 2 GiB. 8 MiB, the largest body, is all that can be of use. */
export const zstdWindowLogMax = 23
/** A body must have arrived after this long; Fastify removes Node's own bound unless one is set. 8 MiB in 30 s is 2.3 Mbit/s. */
export const requestTimeoutMs = 30_000
/** Headers take one packet or two: who needs longer holds a socket on purpose. */
export const headersTimeoutMs = 10_000
/** How often Node looks for requests over the two bounds above. */
export const connectionsCheckMs = 2_000
/** Open sockets: beyond it new ones are closed at once, so that waiting clients cannot take the memory of those being served. */
export const connectionsMax = 10_000
/** A socket without any traffic. */
export const connectionTimeoutMs = 60_000
/** Longer than the usual 60 s of load balancers, so that they close first and never send into a closing socket. */
export const keepAliveTimeoutMs = 72_000
/** Path parameters: a UUID has 36 characters. */
export const pathParamCharsMax = 128
/** Requests are counted per minute. */
export const rateLimitWindowMs = 60_000
/** Callers that are counted at the same time, 100 bytes each; a flood of addresses must not fill the memory. */
export const rateLimitKeysMax = 50_000
/** Where gateways count together, each takes this part of a limit at a time: a thousandth may be lost, and a request in a thousand asks the store. */
export const rateLimitLeasesPerWindow = 1_000
/** Of the largest limits. */
export const rateLimitLeaseMax = 1_000
/** A store in the same network answers within a millisecond; a request waits for it no longer than this. */
export const rateLimitStoreTimeoutMs = 100
/** After a question without an answer this gateway counts for itself for so long; also between attempts to connect. */
export const rateLimitStoreRetryMs = 1_000
export const rateLimitStoreConnectMs = 2_000
/** A connection that is silent for longer, its pings unanswered, is closed and opened anew. */
export const rateLimitStorePingMs = 2_000
export const rateLimitStoreSilenceMs = 5_000
/** Requests of one address per minute that are told that nobody knows them. Clients whose token has just expired need one each. */
export const unauthenticatedPerMinuteMax = 300
/** Lines per minute about one caller who asks for more than it may; all such requests are in the API's log. */
export const forbiddenLoggedPerMinuteMax = 10
/** Longest text of one query parameter. */
export const queryCharsMax = 512
/** A bearer token of ours has about 400 characters. */
export const authorizationCharsMax = 4_096
/** Stripe's bound for the same header, which clients know. */
export const idempotencyKeyCharsMax = 255
/** The last millisecond that ClickHouse's DateTime64(3) holds, 2299-12-31T23:59:59.999Z: no query reaches beyond it. */
export const timeMaxMs = 10_413_791_999_999
/** What a timer of Node can hold: with more it fires at once. */
export const timerMsMax = 2_147_483_647
/** Accepted browser origins of the CORS allow-list. */
export const corsOriginsMax = 32

// Traces
/** W3C asks that at least so many characters are passed on; more is dropped, as it must not be cut. */
export const traceStateCharsMax = 512
export const traceStateMembersMax = 32
/** Spans that wait to be sent, some 1 KiB each; more are dropped. */
export const traceSpansMax = 4_096
/** How old a span may get before its batch is sent. */
export const traceExportMs = 2_000
export const traceExportTimeoutMs = 5_000
/** How long what is left may take when the service closes. */
export const traceCloseMs = 2_000

// JSON
/** Metadata deeper than this is a mistake or an attack; `JSON.stringify` of 5,000 levels overflows the stack. */
export const jsonDepthMax = 32
/** Content faults that are kept of one text. */
export const jsonFaultsMax = 100
/** Faults that one answer lists one by one; the rest is counted in `detail`. */
export const problemFaultsMax = 1_000

// Avro
/** Metadata of a container; writers make two or three. */
export const avroMetadataMax = 64
/** Levels of a value that is passed over; a schema may refer to itself. */
export const avroDepthMax = 32
/** Schemas whose plans are kept: producers of one installation have a few. */
export const avroPlansMax = 64
/** The text of a writer's schema; ours has 1 KiB. */
export const avroSchemaCharsMax = 64 * 1024

// Events
export const eventsPerRequestMax = 10_000
/** Ids and types are keys of topics, stores and charts. */
export const eventIdCharsMax = 128
export const userIdCharsMax = 128
export const eventTypeCharsMax = 128
/** Far below Kafka's 1 MiB per record, and far above what analytics events carry. */
export const metadataBytesMax = 64 * 1024
/** From here on a timestamp is taken as milliseconds; as seconds it would be the year 5138. */
export const timestampMillisFrom = 100_000_000_000
/**
 * How far an event may lie in the future. Event time moves windows on: one event of next year would close every window before it and make
 * all true ones late. Clocks of well-kept machines differ by less than a second, of phones by a few minutes.
 */
export const eventFutureMsMax = 5 * 60_000
/** Rejections listed per request. Every rejected item is listed with its first fault; further faults of the same items up to this many. */
export const rejectionsMax = 20_000
/** What encoded events are written into: some 800 of them, so that a request of one event does not cost an allocation outside of the heap. */
export const eventSlabBytes = 256 * 1024
/** How long `?wait=stored` waits: the sink needs a second, or several while it catches up. */
export const storedWaitMsMax = 10_000
/** Between two questions to the store, for all that wait together. */
export const storedPollMs = 200
/** Requests that wait at the same time; more are answered as if they had not asked. */
export const storedWaitersMax = 500
/** Ids of one question; the rest is asked for when some of these are there. */
export const storedIdsPerQuery = 1_000
/** Records that a receipt lists: an id that was used so often is no id. */
export const receiptRecordsMax = 10
export const eventsPageDefault = 100
export const eventsPageMax = 1_000

// Producing
/** Bytes that wait for Kafka's acknowledgement, over all requests. Over it the answer is 503: a slow Kafka must not fill the heap. */
export const unacknowledgedBytesMax = 64 * 1024 * 1024
/** Sends of events that are under way before further ones are gathered: with two, the broker always has one to work on. */
export const gatherSendsMax = 2
/** As many records go by themselves: a send of its own costs them next to nothing each. */
export const gatherRecordsMax = 200
/** What a client is told to wait after a 503. */
export const retryAfterSeconds = 2

// Spill log
/** Segments are deleted whole: small enough that room comes back soon, large enough that files are few. */
export const spillSegmentBytesMax = 16 * 1024 * 1024
/** What is written and synced in one go: 4 MiB take a few milliseconds on any disk that a server has. */
export const spillGroupBytesMax = 4 * 1024 * 1024
/** A record's key and value. Kafka takes batches of 1 MiB, and a batch has a head. */
export const spillRecordBytesMax = 1024 * 1024 - 1024
/** What a client is told to wait when the log is full: outages that fill it do not end within seconds. */
export const spillRetryAfterSeconds = 15
/**
 * How long the producer repeats what was sent without an answer, while requests go to the log. As long as it does, Kafka itself tells a repetition from
 * a new record by its number; longer than a broker's restart takes.
 */
export const spillDoubtMs = 120_000
/** One transaction of the replay: large enough for a good rate, small enough that readers, who wait for its end, do not notice. */
export const spillReplayBytes = 1024 * 1024
/** From here on requests wait a moment for the rest of the log instead of going behind it: two transactions. */
export const spillHandoverBytesMax = 2 * spillReplayBytes
/** How long they wait at most. */
export const spillHandoverMsMax = 1_000
/** The longest pause between two transactions of the replay. */
export const spillPauseMsMax = 250
/** Between attempts to replay: Kafka is asked this often whether it is back. */
export const spillRetryMsMax = 2_000
/** The broker aborts a transaction of a gateway that died after this long; until then readers wait before it. */
export const spillTransactionTimeoutMs = 15_000
/** Shorter than a transaction lasts, so that a broker that is away is noticed before the transaction is aborted. */
export const spillReplayDeliveryMs = 10_000
/** How often the ends of the topics are asked for, so that what was sent without an answer is looked for in the last minute only. */
export const spillFloorsMs = 30_000
/** How long a start waits for Kafka and the registry before it does without them, where that can be done: a broker that is there answers within a second. */
export const startWithoutMs = 5_000
/** How long the producer may take to close when everything that it has not been answered for is in the log. */
export const spillProducerCloseMs = 1_000

// Statistics
/** Windows kept in memory per interval, counted over event types: about 12 MB each. At 10 types, 10-second windows of 14 hours. */
export const statsWindowsPerIntervalMax = 50_000
export const statsLimitDefault = 1_000
export const statsLimitMax = 10_000
/** Texts of answers that are kept until a window changes: two of the longest, or a few hundred of a dashboard's. */
export const statsAnswersCharsMax = 4 * 1024 * 1024
/** Streams of updates at the same time; each holds a socket and its buffer. */
export const statsStreamsMax = 500
/** Updates that a reconnecting client can ask for again. */
export const statsRingUpdatesMax = 10_000
/** A client that reads slower than it is sent is cut off at this backlog; it comes back with Last-Event-ID. */
export const statsStreamBufferBytesMax = 1024 * 1024
/** Comments that keep proxies from closing a quiet stream; the usual proxy bound is 60 s. */
export const statsHeartbeatMs = 15_000

// Leads
export const leadsPerRequestMax = 10_000
/** The columns of the leads table have these lengths. */
export const leadEmailCharsMax = 320
export const leadTextCharsMax = 255
export const leadAttributesBytesMax = 16 * 1024
export const leadsPageDefault = 50
export const leadsPageMax = 500
/** Offsets cost the database as much as the rows they skip; deeper pages go by cursor. */
export const leadsOffsetMax = 100_000
/** How long an answer about leads is good for others who ask the same: a page that is looked at by many costs the database one query a second. */
export const leadAnswerMsMax = 1_000
/** Of all answers together: some 16 of the longest pages, whose leads have 16 KiB of attributes, or hundreds of the usual ones. */
export const leadAnswersCharsMax = 8 * 1024 * 1024
/** Questions about leads that are shared while the database is asked; beyond it each asks for itself. */
export const leadQuestionsMax = 1_000
/** Fields of one source. Sources are bounded by the store, and everything about one by the size of a body. */
export const leadFieldsMax = 64
/** Patterns of one source: each may take a table of 32 KiB. */
export const leadFieldPatternsMax = 16
/** Values of an enum, and their length; a lead's attributes have 16 KiB in all. */
export const leadFieldValuesMax = 100
export const leadFieldValueCharsMax = 128
/** What a field is about, in words. */
export const leadFieldTextCharsMax = 255
/** How often gateways ask whether definitions were changed: so long, and the time of two queries, another gateway may still go by the former ones. */
export const leadFieldsRefreshMs = 1_000
/** Definitions that could not be read again for this long show in the service's health. */
export const leadFieldsStaleMs = 15_000
/** How long a start may wait for the first definitions; without them leads are answered with 503. */
export const leadFieldsBeginMs = 2_000
/** While the table of keys of leads cannot be written. */
export const leadKeysRetryMs = 1_000

// Patterns of lead fields
export const patternCharsMax = 256
/** Parentheses in parentheses; also how deep the parser calls itself. */
export const patternDepthMax = 16
/** Characters that a pattern names, with repetitions written out, and pairs of them that may follow one another. */
export const patternPositionsMax = 1_024
export const patternFollowsMax = 65_536
/** States of a pattern's table: those that count up to a few hundred characters have as many. */
export const patternStatesMax = 1_024
/** States times kinds of characters, two bytes each. A UUID takes 200, an e-mail address with its lengths 1,600. */
export const patternCellsMax = 16_384
/** Steps of a table's construction, some 20 ns each: patterns worth having take a few thousand. */
export const patternStepsMax = 2_000_000

// Waiting for leads
/** Synchronous leads that wait for their outcome. */
export const leadWaitersMax = 5_000

// Accounts
export const usernameCharsMax = 64
/** Enough for any passphrase; a bound, because hashing reads all of it. */
export const passwordCharsMax = 256
/** Argon2id takes 19 MiB and some 50 ms each: two at a time, on libuv's threads. */
export const passwordChecksConcurrentMax = 2
/** Logins that wait for their turn: at 2 × 20 per second this is less than 2 s. */
export const passwordChecksWaitingMax = 64
/** OWASP and ASVS: at most 10 failures in 15 minutes for one account, wherever they come from. */
export const loginFailuresMax = 10
export const loginWindowMs = 15 * 60_000
/** Logins and refreshes from one address per minute, on top of the bound per account. */
export const loginsPerMinuteMax = 60
/** Logins of all accounts and addresses together, per gateway: ten Argon2id per second take half a core, and leave the rest to events. */
export const loginsOfAllPerMinuteMax = 600
/** A session that nobody has refreshed for a day was left behind (ASVS 7.3.1). */
export const sessionIdleMs = 24 * 3_600_000
/** A refresh token of ours has 69 characters. */
export const refreshTokenCharsMax = 128
/** How often sessions and API keys that are in use are read again: so long, and the time of a query, what was ended may still be let in. */
export const accessRefreshMs = 2_000
/**
 * How long sessions and keys stay good when MySQL does not answer. Nobody can end them in MySQL either while it is away; this bounds how long
 * a gateway that alone is cut off from it may go on. Access tokens live no longer by default.
 */
export const accessStaleMsMax = 15 * 60_000
/** Sessions, or keys, that are known to a gateway: some 400 bytes each. */
export const accessEntriesMax = 10_000
/** What was not in use for this long is not read again. */
export const accessIdleMs = 60_000
/** Ids of one query for their states. */
export const accessReadIdsMax = 1_000
/** Ids that wait for the next such query: made-up keys must not fill the heap. */
export const accessWaitingMax = 10_000
/** Access tokens that need not be verified again: some 500 bytes each. */
export const verifiedTokensMax = 10_000
/** API keys whose last use is not written down yet. */
export const apiKeyUsesMax = 10_000
/** The column's length. */
export const apiKeyLabelCharsMax = 128
export const apiKeyDaysDefault = 365
/** As of keys that are made with the command line: a key that nobody has had to renew for two years is one that nobody remembers. */
export const apiKeyDaysMax = 730
/** Keys of one answer. */
export const apiKeysListDefault = 100
export const apiKeysListMax = 1_000
/** How often uses of API keys are written down, and what has expired is deleted. */
export const accountUpkeepMs = 60_000
/** Clocks of the gateways behind one address may differ by this much. */
export const tokenClockToleranceMs = 5_000

// API log
/** Entries that wait to be written: 20 s of 1,000 requests/s. */
export const apiLogQueueMax = 20_000
export const apiLogBatchMax = 1_000
/** How long the rest may take to be written when the service closes. */
export const apiLogCloseMs = 2_000
/** How old an entry may get before its batch is sent. */
export const apiLogFlushMs = 250

// Health
/** Health is public: checks run at most this often, whoever asks. */
export const healthCacheMs = 1_000
export const healthCheckTimeoutMs = 2_000

// Following topics
/** One wait of a poll; also how long `close` may take. */
export const pollWaitMsMax = 500
/** Between attempts to follow a topic again. */
export const followRetryMsMax = 5_000

// Overload
/** Bodies that are being received and worked on, over all requests: 32 of the largest. */
export const receivedBytesMax = 32 * batchBodyBytesMax
/** Of one account: a second's work, and no more than a quarter, so that a slow or greedy one leaves room for the others. */
export const receivedBytesPerAccountMax = 8 * batchBodyBytesMax
/** Smaller bodies are not counted: as many as there may be sockets have less than the bound above. */
export const countedBodyBytesMin = 16 * 1024
/** How late the event loop may be, on average over a second, before requests are sent away: answers later than this help nobody. */
export const eventLoopDelayMsMax = 1_000

// Configuration
/** HS256 has 256 bits. */
export const jwtSecretBytesMin = 32
/** When the service closes, synchronous leads wait this long for their outcome before they are told that it is pending. */
export const leadCloseWaitMs = 4_000

// Operations
/** Dead letters that one answer reads: some 5 MB, and a second of reading. */
export const lettersListedMax = 20_000
/** Of one answer. */
export const lettersListMax = 1_000
/** Chosen one by one in one replay. */
export const lettersReplayMax = 1_000
/** Offsets are exact up to here. */
export const letterOffsetMax = 999_999_999_999_999
export const letterReasonCharsMax = 255
/** What is shown of a key or a value. */
export const letterShownBytesMax = 4_096
/** Lags are read anew after this long: the page of one operator asks every five seconds. */
export const opsAnswerMs = 2_000
/** A reconciliation that is younger is answered again: a run is a load on three servers. */
export const reconciliationFreshMs = 30_000
