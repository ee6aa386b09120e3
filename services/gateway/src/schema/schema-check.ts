import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import { Settings } from 'typebox/system'
import type { Fault } from '../errors.ts'
import { pointerStep } from '../json/json-pointer.ts'
import { problemFaultsMax } from '../limits.ts'

/** Which part of a request a fault is in. */
export type FaultPlace = NonNullable<Fault['in']>

/** Where the checked value is, and how to say what is wrong with it. */
export interface FaultContext {
  readonly in: FaultPlace
  /** The pointer of the checked value in the body. */
  readonly root?: string
  /** Completes the sentence about an unknown field. */
  readonly unknownHint?: string
}

/** A compiled schema. It never changes the value: nothing is converted, filled in or taken away. */
export interface SchemaCheck<T> {
  check(value: unknown): value is T
  /** Every fault of the value; empty when there is none. */
  faults(value: unknown, context: FaultContext): Fault[]
}

/** Compiles a TypeBox schema. Keep the result: compiling takes about a millisecond. */
export function compileCheck<S extends TSchema>(schema: S): SchemaCheck<Static<S>> {
  // TypeBox stops at the eighth error unless told otherwise; we list all, up to the bound of an answer.
  Settings.Set({ maxErrors: problemFaultsMax })
  const validator = Compile(schema)
  return {
    check: (value): value is Static<S> => validator.Check(value),
    faults(value, context) {
      const errors = validator.Errors(value)
      const faults = errors.flatMap((error) => toFaults(schema, error, context))
      return faults.length > 0 ? faults : errors.map((error) => unknownField(error.instancePath, context))
    },
  }
}

/** Of more unknown fields than errors are collected, the list that comes behind them is not among these: then each tells of itself. */
function unknownField(path: string, context: FaultContext): Fault {
  const detail = `is not a known field${context.unknownHint ?? ''}`
  return { in: context.in, pointer: (context.root ?? '') + path, detail }
}

function toFaults(schema: TSchema, error: TLocalizedValidationError, context: FaultContext): Fault[] {
  const place = context.in
  const pointer = (context.root ?? '') + error.instancePath
  switch (error.keyword) {
    case 'required':
      return error.params.requiredProperties.map((name) => {
        return { in: place, pointer: pointer + pointerStep(name), detail: 'is required' }
      })
    case 'additionalProperties':
      return error.params.additionalProperties.map((name) => {
        return unknownField(error.instancePath + pointerStep(name), context)
      })
    case 'boolean':
      // The unknown field once more, as "schema is false".
      return []
    case 'enum':
      return [{ in: place, pointer, detail: `must be one of ${error.params.allowedValues.join(', ')}` }]
    case 'pattern':
      return [{ in: place, pointer, detail: ruleOf(schema, error.schemaPath) ?? error.message }]
    default:
      return [{ in: place, pointer, detail: error.message }]
  }
}

/** What a pattern asks for, in words: the schema's own `x-rule`. A regular expression helps nobody who filled in a form. */
function ruleOf(schema: TSchema, path: string): string | undefined {
  let at: unknown = schema
  for (const step of path.split('/').slice(1)) at = isRecord(at) ? at[step] : undefined
  const rule = isRecord(at) ? at['x-rule'] : undefined
  return typeof rule === 'string' ? rule : undefined
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
