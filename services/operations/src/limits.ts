/** One wait for letters. */
export const letterPollMs = 500
/** A topic that brings nothing for this long before its end has a broker that is away. */
export const letterSilenceMsMax = 30_000
/** Letters of a list: some 30 MB. */
export const lettersMax = 200_000
/** Records of one transaction of a replay. */
export const replayBatchLettersMax = 500
export const replayBatchBytesMax = 4 * 1024 * 1024

/** How far back reconciliation looks unless it is told. */
export const reconciledMsDefault = 3_600_000
/** And at most: each minute takes a question to Kafka. */
export const reconciledMsMax = 86_400_000
/** A difference that is younger than this is one on its way. */
export const reconciliationBoundMsDefault = 300_000
/**
 * How long before its place in the topic says so a record may have been received: the spill log keeps records while Kafka is away. Older ones are found by their
 * ids, one by one.
 */
export const outOfOrderMs = 3_600_000
/** Events whose own time is this far from their reception are found by their ids, unless there are many of them. */
export const eventTimeSlackMs = 86_400_000
/** More missing events than this are looked for among events of every time, before they are looked for one by one. */
export const missingBeforeWideMax = 1_000
/** Records that one run reads from Kafka to find out what became of them: some 50 MB. */
export const examinedRecordsMax = 50_000
/** Behind what a sink has committed, longer ranges are records that wait: they are not read. */
export const waitingExaminedMax = 1_000
/** Records between two that are looked for which are read over rather than jumped over. */
export const readOverMax = 2_000
/** Offsets between which the missing ones are looked for at once. */
export const missingPerRangeMax = 20_000
/** How long a run may take: a difference that was not examined by then is told as it is. */
export const reconciliationMsMax = 60_000
/** Questions to Kafka at the same time. */
export const boundsAtOnce = 8
/** Differences that are told one by one; their sums are always whole. */
export const differencesMax = 200
/** How long the first records behind a group's position are waited for. */
export const lagPollMs = 1_000
