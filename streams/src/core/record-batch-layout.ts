/*
 * Kafka's record batch, magic 2 (KIP-98), big endian:
 *
 *   0         8        12                    16      17    21           23                27              35             43
 *   ├ base    ├ length ├ partition leader    ├ magic ├ crc ├ attributes ├ last offset     ├ base          ├ max          ├
 *   │ offset  │        │ epoch               │  (2)  │     │            │ delta           │ timestamp     │ timestamp    │
 *   │ int64   │ int32  │ int32               │ int8  │ u32 │ int16      │ int32           │ int64         │ int64        │
 *
 *   43          51             53         57        61
 *   ├ producer  ├ producer     ├ base     ├ record  ├ records, compressed together when the attributes say so
 *   │ id        │ epoch        │ sequence │ count   │
 *   │ int64     │ int16        │ int32    │ int32   │
 *
 * `length` counts what follows it; `crc` is CRC-32C of everything from the attributes on, so that a broker may set the base offset and the
 * leader epoch. Attributes: bits 0–2 compression, 3 timestamps are the broker's, 4 transactional, 5 control.
 *
 * A record; every number but the attributes is a zigzag varint, lengths of −1 mean null:
 *
 *   length · int8 attributes (0) · timestamp delta · offset delta · key length · key · value length · value
 *          · header count · (name length · name · value length · value)*
 */

/** Byte positions within a batch. */
export const batchPosition = {
  baseOffset: 0,
  length: 8,
  afterLength: 12,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const

/** Bytes before the first record. */
export const batchHeaderBytes = 61

/** Bits of a batch's attributes. */
export const attributeBits = {
  compression: 0b111,
  logAppendTime: 1 << 3,
  transactional: 1 << 4,
  control: 1 << 5,
} as const

/** The type in a control record's key, which ends a transaction. */
export const controlType = { abort: 0, commit: 1 } as const
