import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryLeadFields } from '../../test/memory-lead-fields.ts'
import type { Fault } from '../errors.ts'
import { leadFieldsRefreshMs, leadFieldsStaleMs } from '../limits.ts'
import { compileCheck } from '../schema/schema-check.ts'
import { definitionFaults, type FieldDefinition, LeadFieldsInput } from './field-definition.ts'
import { compileFieldRules } from './field-rules.ts'
import { createLeadReader } from './lead-reader.ts'
import { LiveLeadFields } from './live-fields.ts'

const texts = (faults: readonly Fault[]) => faults.map(({ pointer, detail }) => `${pointer} ${detail}`)

describe('a definition', () => {
  const field = (change: object) => texts(definitionFaults([{ name: 'x', type: 'string', ...change }], '/fields'))

  it.each<[object, string[]]>([
    [{}, []],
    [{ min_length: 1, max_length: 5, pattern: '[a-z]+' }, []],
    [{ type: 'integer', min: -5, max: 9_007_199_254_740_991 }, []],
    [{ type: 'date', min: '2024-02-29', max: '2024-02-29' }, []],
    [{ type: 'enum', values: ['a'] }, []],
    [{ min: 1 }, ['/fields/0/min is not for fields of type string']],
    [{ type: 'boolean', pattern: 'a' }, ['/fields/0/pattern is not for fields of type boolean']],
    [{ min_length: 6, max_length: 5 }, ['/fields/0/min_length must not be greater than "max_length"']],
    [{ pattern: '(a' }, ['/fields/0/pattern has a "(" without its ")", at character 3']],
    [{ type: 'integer', min: 1.5 }, ['/fields/0/min must be an integer']],
    [{ type: 'integer', max: 2 ** 53 }, ['/fields/0/max must be an integer']],
    [{ type: 'number', min: '1' }, ['/fields/0/min must be a number']],
    [{ type: 'number', min: 2, max: 1 }, ['/fields/0/min must not be greater than "max"']],
    [{ type: 'date', min: '2023-02-29' }, ['/fields/0/min must be a day as YYYY-MM-DD']],
    [{ type: 'enum' }, ['/fields/0/values is required for fields of type enum']],
    [{ type: 'enum', values: ['a', 'a'] }, ['/fields/0/values must not name a value twice']],
  ])('with %j has these faults: %j', (change, faults) => {
    expect(field(change)).toEqual(faults)
  })

  it('has a name of its own, and few patterns beside it', () => {
    const fields = Array.from({ length: 18 }, (_, i): FieldDefinition => {
      return { name: i === 17 ? 'x0' : `x${i}`, type: 'string', pattern: 'a' }
    })
    expect(texts(definitionFaults(fields, ''))).toEqual([
      '/16/pattern is one too many: a source may have 16',
      '/17/name is the name of another field of this source',
      '/17/pattern is one too many: a source may have 16',
    ])
  })

  const { faults } = compileCheck(LeadFieldsInput)
  it.each<[object, string[]]>([
    [{ source: 'web', fields: [] }, []],
    [{ source: null, undefined_attributes: 'refuse', fields: [] }, []],
    [{ source: ' web', fields: [] }, ['/source must not hold control characters, nor begin or end with a space']],
    [
      { fields: [{ name: '1', type: 'text' }] },
      [
        '/source is required',
        '/fields/0/name must be a letter and then up to 63 letters, digits, "_" and "-"',
        '/fields/0/type must be one of string, integer, number, boolean, date, enum',
      ],
    ],
    [
      { source: 'web', fields: [{ name: '__proto__', type: 'string' }] },
      ['/fields/0/name must be a letter and then up to 63 letters, digits, "_" and "-"'],
    ],
  ])('of the form %j has these faults: %j', (input, expected) => {
    expect(texts(faults(JSON.parse(JSON.stringify(input)), { in: 'body' }))).toEqual(expected)
  })
})

describe('the rules of a source', () => {
  const check = (field: Omit<FieldDefinition, 'name'>, value: unknown) => {
    const rules = compileFieldRules({ source: 'web', undefinedAttributes: 'keep', fields: [{ name: 'x', ...field }] })
    const faults: Fault[] = []
    rules.check(value === undefined ? {} : { x: value }, { root: '', faults })
    return texts(faults)
  }

  it.each<[Omit<FieldDefinition, 'name'>, unknown[], [unknown, string][]]>([
    [
      { type: 'string' },
      ['', 'a', undefined, null],
      [
        [1, 'must be a string'],
        [['a'], 'must be a string'],
      ],
    ],
    [
      { type: 'string', required: true },
      ['', 'a'],
      [
        [null, 'is required'],
        [undefined, 'is required'],
      ],
    ],
    [
      { type: 'string', min_length: 2, max_length: 3 },
      ['🌾🌾', '🌾🌾🌾', 'abc'],
      [
        ['🌾', 'must have at least 2 characters'],
        ['a', 'must have at least 2 characters'],
        ['🌾🌾🌾🌾', 'must have at most 3 characters'],
        ['abcdefghi', 'must have at most 3 characters'],
      ],
    ],
    [
      { type: 'string', pattern: '[A-Z]{2}' },
      ['DE'],
      [
        ['de', 'must match [A-Z]{2}'],
        ['DEU', 'must match [A-Z]{2}'],
      ],
    ],
    [
      { type: 'integer' },
      [5, -0, 1e3],
      [
        [1.5, 'must be an integer'],
        ['5', 'must be an integer'],
        [true, 'must be an integer'],
      ],
    ],
    [
      { type: 'number', min: 0, max: 1 },
      [0, 0.5, 1],
      [
        [-0.1, 'must be 0 or more'],
        [2, 'must be 1 or less'],
        ['0', 'must be a number'],
      ],
    ],
    [
      { type: 'boolean' },
      [true, false],
      [
        ['true', 'must be true or false'],
        [0, 'must be true or false'],
      ],
    ],
    [
      { type: 'date', min: '2024-01-01' },
      ['2024-02-29'],
      [
        ['2023-12-31', 'must be 2024-01-01 or more'],
        ['2023-02-29', 'must be a day as YYYY-MM-DD'],
        ['2024-1-1', 'must be a day as YYYY-MM-DD'],
        [20240101, 'must be a day as YYYY-MM-DD'],
      ],
    ],
    [
      { type: 'enum', values: ['a', 'b'] },
      ['a'],
      [
        ['A', 'must be one of a, b'],
        [0, 'must be one of a, b'],
      ],
    ],
  ])('for %j take %j and name what is wrong with others', (field, good, bad) => {
    for (const value of good) expect(check(field, value)).toEqual([])
    for (const [value, detail] of bad) expect(check(field, value)).toEqual([`/x ${detail}`])
  })

  it('keep or refuse what is not defined, and are not fooled by what objects inherit', () => {
    const fields: FieldDefinition[] = [{ name: 'toString', type: 'string', required: true }]
    const refused: Fault[] = []
    const strict = compileFieldRules({ source: null, undefinedAttributes: 'refuse', fields })
    strict.check(JSON.parse('{"a/b":1,"__proto__":2,"constructor":3}'), { root: '/attributes', faults: refused })
    expect(texts(refused)).toEqual([
      '/attributes/toString is required',
      '/attributes/a~1b is not defined for leads without a source',
      '/attributes/__proto__ is not defined for leads without a source',
      '/attributes/constructor is not defined for leads without a source',
    ])
    const kept: Fault[] = []
    const lenient = compileFieldRules({ source: 'web', undefinedAttributes: 'keep', fields: [] })
    lenient.check({ anything: { at: ['all'] } }, { root: '', faults: kept })
    lenient.check(undefined, { root: '', faults: kept })
    expect(kept).toEqual([])
  })
})

describe('a lead of a source with fields', () => {
  const rules = compileFieldRules({
    source: 'web',
    undefinedAttributes: 'refuse',
    fields: [{ name: 'budget', type: 'integer', required: true, min: 0 }],
  })
  const reader = createLeadReader({ of: (source) => (source === 'web' ? rules : undefined) })
  const faults = (lead: object) => texts(reader.faults(lead, { root: '/leads/3', nowMs: Date.UTC(2026, 10, 21) }))
  const valid = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com', source: 'web' }

  it('is taken with what is defined, and leads of other sources with anything', () => {
    expect(faults({ ...valid, attributes: { budget: 5 } })).toEqual([])
    expect(faults({ ...valid, source: 'Web', attributes: { budget: 'much' } })).toEqual([])
    expect(faults({ ...valid, source: undefined, attributes: { budget: 'much' } })).toEqual([])
  })

  it('has the faults of its fields named together with all others', () => {
    expect(faults(valid)).toEqual(['/leads/3/attributes/budget is required'])
    expect(
      faults({
        ...valid,
        email: 'ada',
        country: 'XQ',
        date_of_birth: '2001-02-29',
        attributes: { budget: -1, size: 4 },
      }),
    ).toEqual([
      '/leads/3/email must be an e-mail address',
      '/leads/3/date_of_birth must be a day that exists',
      '/leads/3/country must be a country of ISO 3166-1',
      '/leads/3/attributes/budget must be 0 or more',
      '/leads/3/attributes/size is not defined for the source of this lead',
    ])
    expect(faults({ ...valid, attributes: [], country: 'de' }).sort()).toEqual([
      '/leads/3/attributes must be object',
      '/leads/3/country must be two capital letters',
    ])
  })
})

describe('live definitions', () => {
  const by = { actor: 'a', requestId: 'r' }
  const content = { undefinedAttributes: 'keep', fields: '[{"name":"x","type":"integer"}]' } as const
  const lines: string[] = []
  const logger = { warn: (_: object, text: string) => lines.push(text), info: (text: string) => lines.push(text) }
  let store: MemoryLeadFields
  let live: LiveLeadFields

  beforeEach(() => {
    vi.useFakeTimers()
    lines.length = 0
    store = new MemoryLeadFields()
    live = new LiveLeadFields({ store, logger: logger as never, nowMs: Date.now })
  })
  afterEach(() => {
    live.close()
    vi.useRealTimers()
  })

  it('are known within a second of a change, and read only when there was one', async () => {
    await live.begin(100)
    expect(live.of('web')).toBeUndefined()
    await store.create({ id: '1', source: 'web', ...content }, by)
    await store.create({ id: '2', source: null, ...content }, by)
    await vi.advanceTimersByTimeAsync(leadFieldsRefreshMs)
    const rules = live.of('web')
    expect(rules?.fields).toEqual([{ name: 'x', type: 'integer' }])
    expect(live.of(null)?.source).toBeNull()
    expect(live.all()).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(10 * leadFieldsRefreshMs)
    expect(store.reads).toBe(2)
    expect(live.of('web')).toBe(rules)
    await store.remove('1', { ...by, versions: 'any' })
    await vi.advanceTimersByTimeAsync(leadFieldsRefreshMs)
    expect(live.of('web')).toBeUndefined()
  })

  it('stay while the store is away, and say so in the health of the service', async () => {
    await store.create({ id: '1', source: 'web', ...content }, by)
    await live.begin(100)
    store.failure = new Error('away')
    await vi.advanceTimersByTimeAsync(leadFieldsStaleMs + 2 * leadFieldsRefreshMs)
    expect(live.of('web')).toBeDefined()
    expect(() => live.requireFresh()).toThrow('could not be read')
    store.failure = undefined
    await vi.advanceTimersByTimeAsync(leadFieldsRefreshMs)
    live.requireFresh()
    expect(lines).toEqual([
      'the definitions of lead fields cannot be read: the last ones stay',
      'the definitions of lead fields can be read again',
    ])
  })

  it('stay when the store holds what this version does not know', async () => {
    await store.create({ id: '1', source: 'web', ...content }, by)
    await live.begin(100)
    await store.replace('1', { ...content, fields: '[{"name":"x","type":"money"}]' }, { ...by, versions: 'any' })
    await expect(live.refresh()).rejects.toThrow('not of a form that this version knows')
    expect(live.of('web')?.fields).toEqual([{ name: 'x', type: 'integer' }])
  })

  it('are not made up: without any, leads are refused for now', async () => {
    store.failure = new Error('away')
    await live.begin(100)
    const reader = createLeadReader(live)
    expect(() => reader.faults({ first_name: 'Ada' }, { root: '', nowMs: 0 })).toThrow('[NOT_READY]')
    expect(() => live.all()).toThrow('[NOT_READY]')
    store.failure = undefined
    await vi.advanceTimersByTimeAsync(leadFieldsRefreshMs)
    expect(reader.faults({ first_name: 'Ada' }, { root: '', nowMs: 0 })).toHaveLength(2)
  })

  it('let a start wait for no longer than it may', async () => {
    store.changes = () => new Promise(() => {})
    store.readAll = () => new Promise(() => {})
    const begun = live.begin(2_000)
    await vi.advanceTimersByTimeAsync(2_000)
    await begun
    expect(() => live.of('web')).toThrow('[NOT_READY]')
  })

  it('know a change when a refresh that was asked for after it is through', async () => {
    await live.begin(100)
    const { promise, resolve } = Promise.withResolvers<number>()
    const changes = store.changes.bind(store)
    store.changes = async () => {
      store.changes = changes
      return promise
    }
    const first = live.refresh()
    await store.create({ id: '1', source: 'web', ...content }, by)
    const second = live.refresh()
    const third = live.refresh()
    resolve(0)
    await first
    expect(live.of('web')).toBeUndefined()
    await Promise.all([second, third])
    expect(live.of('web')).toBeDefined()
  })
})
