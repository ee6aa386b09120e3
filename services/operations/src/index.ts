// biome-ignore-all assist/source/organizeImports: the exports are grouped by who needs them.

// Dead letters.
export { type Letter, placeOf, replayOfHeader, type WholeLetter } from './dead-letters/letter.ts'
export { findLetter, type LetterList, type LetterReading, openLetters, readLetters } from './dead-letters/letter-log.ts'
export { chosenLetters, type ReplayChoice, type ReplayReport, replayLetters } from './dead-letters/replay.ts'

// Who is behind.
export { type Consumer, type ConsumerNames, type ConsumerParts, consumersOf } from './consumers.ts'
export { type GroupLag, type PartitionLag, readLags } from './lag.ts'

// Whether everything has arrived.
export { openReconciler, type OpenReconcilerParts } from './open-reconciler.ts'
export {
  createReconciler,
  type Reconciler,
  type ReconcilerParts,
  type ReconciliationRange,
} from './reconciliation/reconciler.ts'
export {
  type Difference,
  differenceOf,
  type ReconciledMinute,
  type ReconciledTopic,
  reconciledTopics,
  type Reconciliation,
  type ReconciliationStage,
  reconciliationStages,
  type TopicReconciliation,
} from './reconciliation/reconciliation.ts'
export type { StoreQuestion, StoreSide, StoredMinutes } from './reconciliation/store-side.ts'
export { reconciledMsDefault, reconciledMsMax, reconciliationBoundMsDefault } from './limits.ts'

// What goes wrong.
export { OperationsError, type OperationsErrorCode, operationsErrorCodes } from './errors.ts'
