import { readFileSync } from 'node:fs'

/** The record schemas of this package, by the name of their file in `avro/`. */
export const schemaNames = ['event', 'lead', 'lead-outcome', 'event-stats', 'api-log'] as const
export type SchemaName = (typeof schemaNames)[number]

/** One field of an Avro record, as far as this package reads it. */
export interface AvroField {
  readonly name: string
  readonly type: unknown
  readonly default?: unknown
  readonly doc?: string
}

/** An Avro record schema as parsed JSON. */
export interface AvroRecordSchema {
  readonly type: 'record'
  readonly name: string
  readonly namespace: string
  readonly doc?: string
  readonly fields: readonly AvroField[]
}

/** The text of `avro/<name>.avsc`, as it is registered. */
export function schemaText(name: SchemaName): string {
  return readFileSync(new URL(`../avro/${name}.avsc`, import.meta.url), 'utf8')
}

/** The parsed schema of `avro/<name>.avsc`. */
export function avroSchema(name: SchemaName): AvroRecordSchema {
  return JSON.parse(schemaText(name)) as AvroRecordSchema
}
