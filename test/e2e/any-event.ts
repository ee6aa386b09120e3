import fc from 'fast-check'

/** An event as a producer sends it, with its metadata as text: what comes back is compared with that, character by character. */
export interface EventText {
  readonly event_id: string
  readonly user_id: string
  readonly event_type: string
  /** UNIX seconds, or milliseconds from 10^11 on. */
  readonly timestamp: number
  readonly metadata: string
  /** Why it must be refused; undefined for events that must be taken. */
  readonly refusal: string | undefined
}

/** What an event must keep to, and how deep its metadata may be: the levels of the body around it count, too. */
export interface EventShape {
  readonly eventType: string
  readonly metadataLevelsMax: number
}

const idCharsMax = 128
const metadataBytesMax = 65_536
const maxSafe = Number.MAX_SAFE_INTEGER

/** Right to left, marks that combine, pairs of surrogates, joined emoji, separators of lines, what programs trip over. */
const oddTexts = [
  'שלום עולם',
  '\u202eabc\u202c',
  'e\u0301\u0323\u20dd',
  'क्षि',
  '👩‍👩‍👧‍👦🏳️‍🌈',
  '\u{10ffff}\ue000\ufffd\ufeff',
  'a\u2028b\u2029c',
  `'"; DROP TABLE events --`,
  '{event_id:String}',
  'null',
  '../../%2e%2e?a=b&c#d',
  '\\N\\0\\\\',
] as const

const oddKeys = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  ' ',
  'a.b',
  'value',
  'event_id',
  '0',
  '-1',
]

/** Numbers by their text: a program that parses and prints them writes most of them differently. */
const oddNumbers = [
  '-0',
  '0.0',
  '-0.0e-0',
  '1e2',
  '1E+2',
  '1.10',
  '1.000000000000000000000',
  '0.1000000000000000055511151231257827021181583404541015625',
  '3.14159265358979323846264338327950288419716939937510',
  String(maxSafe),
  String(-maxSafe),
  '5e-324',
  '2.2250738585072014E-308',
  '1.7976931348623157e308',
  `${'0.'.padEnd(400, '0')}1e399`,
] as const

const oddText = fc.constantFrom(...oddTexts)
const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ unit: 'grapheme' }), oddText)

// biome-ignore lint/suspicious/noControlCharactersInRegex: ids must not hold them
const controls = /[\u0000-\u001f\u007f-\u009f]/gu

/** An id of 1 to 128 characters; a character beyond U+FFFF counts as two, and is never cut in half. */
const anyId = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
    fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: idCharsMax }),
    fc.constant('x'.repeat(idCharsMax)),
    fc.constant('🎈'.repeat(idCharsMax / 2)),
    fc.constant(' '),
    oddText,
  )
  .map((text) => shortened(text.replace(controls, '')))

/** Times of few months, for every month is a part of the table: both units, and the edges between them. */
const anyTime = fc.oneof(
  fc.constantFrom(0, 1, 86_399, 100_000_000_000, 100_000_000_001, 999_999_999, 1_000_000_000),
  fc.integer({ min: 1_700_000_000, max: 1_700_400_000 }),
  fc.integer({ min: 1_700_000_000_000, max: 1_700_400_000_000 }),
)

const whitespace = fc.constantFrom('', '', '', ' ', '\t', '  ')

/** A string's text in JSON, with more escapes than it needs. */
const anyString = fc
  .tuple(
    anyText.map((text) => text.replaceAll('\u0000', '0')),
    fc.boolean(),
  )
  .map(([text, isEscaped]) => (isEscaped ? escaped(text) : JSON.stringify(text)))

const anyNumber = fc.oneof(
  fc.constantFrom(...oddNumbers),
  fc.integer({ min: -maxSafe, max: maxSafe }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => toJson(number)),
)

const anyKey = fc.oneof(
  fc.constantFrom(...oddKeys).map((key) => JSON.stringify(key)),
  anyString,
)

const { value: anyValue } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('null', 'true', 'false', '{}', '[]', '{ }', '""'),
    anyNumber,
    anyString,
    tie('object'),
    tie('array'),
  ),
  object: objectOf(tie('value')),
  array: fc
    .tuple(whitespace, fc.array(tie('value'), { maxLength: 4 }))
    .map(([space, items]) => `[${space}${items.join(`${space},${space}`)}${space}]`),
}))

const anyObject = objectOf(anyValue)

/** Events of one shape with different ids, of which about one in six must be refused. */
export function anyEvents(shape: EventShape, count: number): fc.Arbitrary<readonly EventText[]> {
  return fc.uniqueArray(anyEvent(shape), {
    minLength: count,
    maxLength: count,
    selector: ({ event_id }) => event_id,
  })
}

function anyEvent({ eventType, metadataLevelsMax }: EventShape): fc.Arbitrary<EventText> {
  const good = fc
    .oneof(
      { weight: 8, arbitrary: anyObject },
      { weight: 1, arbitrary: fc.constantFrom('{}', nested(metadataLevelsMax), ofBytes(metadataBytesMax)) },
    )
    .map((metadata) => ({ metadata, refusal: undefined }))
  const bad = fc.constantFrom(
    { metadata: nested(metadataLevelsMax + 1), refusal: 'TOO_DEEP' },
    { metadata: ofBytes(metadataBytesMax + 1), refusal: 'WRONG_LENGTH' },
    { metadata: '{"a":"\\u0000"}', refusal: 'NUL_CHARACTER' },
    { metadata: '{"a":"\\ud83d"}', refusal: 'LONE_SURROGATE' },
    { metadata: '{"a":9007199254740993}', refusal: 'NUMBER_NOT_EXACT' },
    { metadata: '{"a":1e400}', refusal: 'NUMBER_NOT_EXACT' },
    { metadata: '{"a":1,"\\u0061":1}', refusal: 'DUPLICATE_KEY' },
  )
  const content = fc.oneof({ weight: 5, arbitrary: good }, { weight: 1, arbitrary: bad })
  return fc
    .record({ event_id: anyId, user_id: anyId, timestamp: anyTime, content })
    .map(({ content: { metadata, refusal }, ...rest }) => ({ ...rest, event_type: eventType, metadata, refusal }))
}

function objectOf(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const members = fc.uniqueArray(fc.tuple(anyKey, value), {
    maxLength: 5,
    selector: ([key]) => String(JSON.parse(key)),
  })
  return fc
    .tuple(whitespace, members)
    .map(([space, list]) => `{${space}${list.map(([key, of]) => `${key}${space}:${of}`).join(`,${space}`)}${space}}`)
}

/** Objects and arrays in one another, `levels` deep. */
function nested(levels: number): string {
  let text = '{}'
  for (let level = 1; level < levels; level++)
    text = level % 2 === 0 || level === levels - 1 ? `{"a":${text}}` : `[${text}]`
  return text
}

/** An object whose text has so many bytes. */
function ofBytes(bytes: number): string {
  return `{"a":"${'é'.repeat((bytes - 8) >> 1)}${'x'.repeat(bytes % 2)}"}`
}

/** Every character as escapes of its UTF-16 units. */
function escaped(text: string): string {
  let escapes = ''
  for (let i = 0; i < text.length; i++) escapes += `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`
  return `"${escapes}"`
}

/** An integer beyond the exact ones is refused unless it has a fraction or an exponent. */
function toJson(number: number): string {
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? number.toExponential() : String(number)
}

function shortened(text: string): string {
  let kept = ''
  for (const character of text) if (kept.length + character.length <= idCharsMax) kept += character
  return kept === '' ? '-' : kept
}
