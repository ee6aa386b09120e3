import { GenericError, protocolErrors, protocolErrorsCodesById, ResponseError } from '@platformatic/kafka'
import { type ErrorContext, StreamsError, type StreamsErrorCode } from '../core/errors.ts'

/** Kafka's error codes that we decide by. */
export const errorCode = {
  unknownServerError: -1,
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  recordListTooLarge: 18,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAlreadyExists: 36,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  invalidProducerIdMapping: 49,
  concurrentTransactions: 51,
  operationNotAttempted: 55,
  unknownProducerId: 59,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  unstableOffsetCommit: 88,
  producerFenced: 90,
  unknownTopicId: 100,
  transactionAbortable: 120,
} as const

/** Names that mean: the same request may succeed later, perhaps at another broker. */
const passing: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_CONTROLLER',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'THROTTLING_QUOTA_EXCEEDED',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
])

const fenced: ReadonlySet<number> = new Set([errorCode.producerFenced, errorCode.invalidProducerEpoch])

const rebalanced: ReadonlySet<number> = new Set([
  errorCode.illegalGeneration,
  errorCode.unknownMemberId,
  errorCode.rebalanceInProgress,
  errorCode.fencedInstanceId,
])

/** Kafka's name of an error code. */
export function errorName(code: number): string {
  return protocolErrorsCodesById[code] ?? `error ${code}`
}

/** True when the same request may succeed later, perhaps at another broker. */
export function isPassing(code: number): boolean {
  return passing.has(errorName(code))
}

/** A broker's answer as an error of ours: passing ones become `BROKER_UNAVAILABLE`, which retries understand. */
export function refusal(code: number, what: string, context: ErrorContext = {}): StreamsError {
  const detail = protocolErrors[errorName(code)]?.message ?? ''
  return new StreamsError(refusalCode(code), `${what}: the broker answered ${errorName(code)}. ${detail}`, context)
}

/** Throws `refusal` unless the code is 0. */
export function requireNone(code: number, what: string, context: ErrorContext = {}): void {
  if (code !== errorCode.none) throw refusal(code, what, context)
}

/** Whatever the client threw as an error of ours; a lost connection and a timeout become `BROKER_UNAVAILABLE`. */
export function translate(error: unknown, what: string): StreamsError {
  if (error instanceof StreamsError) return error
  if (error instanceof GenericError && error.code !== 'PLT_KFK_NETWORK' && error.code !== 'PLT_KFK_TIMEOUT') {
    return new StreamsError('BROKER_REFUSED', `${what}: ${error.message}`, { cause: error })
  }
  return new StreamsError('BROKER_UNAVAILABLE', `${what}: ${messageOf(error)}`, { cause: error })
}

/** The response of a call whose client throws as soon as any code in it is not 0: we look at the codes one by one. */
export async function responseOf<Response>(call: Promise<Response>, what: string): Promise<Response> {
  try {
    return await call
  } catch (error) {
    if (error instanceof ResponseError) return error.response
    throw translate(error, what)
  }
}

function refusalCode(code: number): StreamsErrorCode {
  if (isPassing(code)) return 'BROKER_UNAVAILABLE'
  if (fenced.has(code)) return 'FENCED'
  if (rebalanced.has(code)) return 'REBALANCED'
  if (code === errorCode.messageTooLarge || code === errorCode.recordListTooLarge) return 'RECORD_TOO_LARGE'
  if (code === errorCode.offsetOutOfRange) return 'OFFSET_OUT_OF_RANGE'
  if (code === errorCode.corruptMessage) return 'CORRUPT_BATCH'
  return 'BROKER_REFUSED'
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} ${error.cause.message}` : error.message
}
