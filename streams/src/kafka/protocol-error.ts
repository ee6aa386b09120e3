import { protocolErrors, protocolErrorsCodesById, ResponseError } from '@platformatic/kafka'
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
  inconsistentGroupProtocol: 23,
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

/** The client's codes for connections that are lost or take too long. */
const networkCodes: ReadonlySet<string> = new Set(['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT'])

/** Codes of the client and of node:tls that no later attempt mends: credentials, TLS where there is none, certificates. */
const lastingCodes = /^(PLT_KFK_AUTHENTICATION|PLT_KFK_USER|PLT_KFK_UNSUPPORTED.*|.*CERT.*|UNABLE_TO_.*|ERR_SSL_.*)$/

/** How far causes are followed. */
const causesMax = 5

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

/**
 * Whatever the client threw as an error of ours. A lost connection and a timeout become `BROKER_UNAVAILABLE`, which retries understand; refused
 * credentials and certificates do not.
 */
export function translate(error: unknown, what: string): StreamsError {
  if (error instanceof StreamsError) return error
  const chain = causesOf(error)
  const text = `${what}: ${[...new Set(chain.map(messageOf))].join(': ')}`
  const isLasting = chain.some((one) => lastingCodes.test(codeOf(one)))
  const isNetwork = chain.some((one) => networkCodes.has(codeOf(one)))
  return new StreamsError(isLasting || !isNetwork ? 'BROKER_REFUSED' : 'BROKER_UNAVAILABLE', text, { cause: error })
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

/** The error and what caused it, outermost first. */
function causesOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = []
  for (
    let one = error;
    one !== undefined && chain.length < causesMax;
    one = one instanceof Error ? one.cause : undefined
  )
    chain.push(one)
  return chain
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
