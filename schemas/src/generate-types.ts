import { writeFileSync } from 'node:fs'
import { type AvroRecordSchema, avroSchema, schemaNames } from './avro-schemas.ts'

/** The TypeScript interfaces of every schema, as the text of `types.generated.ts`. */
export function generateTypes(): string {
  const header = '// Generated from avro/*.avsc by `npm run generate -w schemas`. Do not edit.\n'
  return header + schemaNames.map((name) => interfaceOf(avroSchema(name))).join('')
}

function interfaceOf(schema: AvroRecordSchema): string {
  const fields = schema.fields.map((field) => {
    const doc = field.doc === undefined ? '' : `  /** ${field.doc} */\n`
    return `${doc}  readonly ${field.name}: ${typeOf(field.type)}\n`
  })
  return `\n/** ${schema.doc ?? schema.name} */\nexport interface ${schema.name} {\n${fields.join('')}}\n`
}

const primitives: Readonly<Record<string, string>> = {
  string: 'string',
  long: 'number',
  int: 'number',
  double: 'number',
  boolean: 'boolean',
  bytes: 'Buffer',
  null: 'null',
}

function typeOf(type: unknown): string {
  if (typeof type === 'string' && primitives[type] !== undefined) return primitives[type]
  if (Array.isArray(type))
    return [...type.filter((branch) => branch !== 'null'), ...type.filter((branch) => branch === 'null')]
      .map(typeOf)
      .join(' | ')
  if (typeof type === 'object' && type !== null && 'type' in type) return typeOf(type.type)
  throw new Error(`No TypeScript type for the Avro type ${JSON.stringify(type)}`)
}

if (import.meta.main) writeFileSync(new URL('types.generated.ts', import.meta.url), generateTypes())
