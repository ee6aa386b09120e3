import { createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emailHash, hashText, leadIdentity, phoneHash } from './lead-hashes.ts'
import { isGuessableLeadKey, LeadKey, leadKeyFault, readLeadKey } from './lead-key.ts'
import { LeafSource, type NewTree } from './leaf-source.ts'
import type { PlainLead } from './plain-lead.ts'
import { openContents, openIndex, type SealedContents, sealLead } from './sealed-lead.ts'

const bytesOf = (text: string) => createHash('sha256').update(text).digest()
const leadKey = new LeadKey(bytesOf('a master key of the tests'))
const other = new LeadKey(bytesOf('another one'))
const place = { tree: '0123456789abcdef', leaf: 5 }
const keyOf = () => bytesOf('a leaf')

const lead: PlainLead = {
  lead_id: '7b0c1d2e-0000-4000-8000-000000000001',
  first_name: 'Zoë',
  last_name: 'Çelik 🌾',
  email: 'Zoe@Example.org',
  phone: '+49 (30) 123-45',
  date_of_birth: '1990-02-28',
  address: 'Line 1\nLine 2',
  city: null,
  postal_code: '',
  country: 'TR',
  source: 'web',
  campaign: null,
  consent: true,
  attributes: '{"size":"40"}',
  content_hash: 'a'.repeat(64),
  submitted_by: 'user-1',
  request_id: 'r',
  received_at: 1_700_000_000_000,
}

const seal = (plain: PlainLead = lead) => sealLead(plain, leadKey, { ...place, key: keyOf() })

function sealedOf(plain: PlainLead = lead): SealedContents {
  const { lead_id: leadId, sealed } = seal(plain)
  return { leadId, ...place, sealed: sealed ?? Buffer.alloc(0) }
}

describe('a sealed lead', () => {
  it('shows nothing personal, and opens to what was sealed', () => {
    const record = seal()
    const { sealed, ...shown } = record
    expect(JSON.stringify(shown)).not.toContain('"TR"')
    // Random bytes have two given ones in a row in one test of a hundred, and these never.
    for (const text of ['Zoë', 'Çelik', 'Zoe@', '(30) 123-45', '1990', 'Line', 'size', 'aaaa']) {
      expect(JSON.stringify(shown)).not.toContain(`"${text}`)
      expect(sealed?.includes(text)).toBe(false)
    }
    expect(shown).toMatchObject({ source: 'web', consent: true, submitted_by: 'user-1', key_tree: place.tree })
    const { first_name, last_name, email, phone, date_of_birth, address, city, postal_code, country, attributes } = lead
    const contents = { first_name, last_name, email, phone, date_of_birth, address, city, postal_code, country }
    expect(openContents(sealedOf(), keyOf())).toEqual({ ...contents, attributes })
    expect(openContents(sealedOf({ ...lead, attributes: '{}' }), keyOf())?.attributes).toBe('{}')
  })

  it('brings back any texts', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 })
    const nullable = fc.option(text)
    fc.assert(
      fc.property(text, nullable, nullable, fc.json(), (email, phone, address, json) => {
        const attributes = `{"x":${json}}`
        const plain = { ...lead, email, phone, address, attributes }
        expect(openContents(sealedOf(plain), keyOf())).toMatchObject({ email, phone, address, attributes })
        expect(openIndex(sealedOf(plain), keyOf())).toMatchObject({ emailHash: emailHash(leadKey, email), attributes })
      }),
      { numRuns: 50 },
    )
  })

  it('is plain AES-256-GCM, bound to lead and key', () => {
    const { sealed, leadId } = sealedOf()
    const decipher = createDecipheriv('aes-256-gcm', keyOf(), Buffer.alloc(12))
    decipher.setAAD(Buffer.from(`${leadId}\n0123456789abcdef\n5`))
    decipher.setAuthTag(sealed.subarray(-16))
    const contents = Buffer.concat([decipher.update(sealed.subarray(1, -16)), decipher.final()])
    expect(sealed[0]).toBe(1)
    expect(contents.subarray(0, 16)).toEqual(emailHash(leadKey, lead.email))
    expect(contents.subarray(16, 32)).toEqual(phoneHash(leadKey, '004 930.12345'.slice(2)))
    expect(contents.readUInt32BE(64)).toBe(13)
    expect(contents.toString('utf8', 68, 81)).toBe(lead.attributes)
    expect(JSON.parse(contents.toString('utf8', 81))).toEqual([
      'Zoë',
      'Çelik 🌾',
      'Zoe@Example.org',
      '+49 (30) 123-45',
      '1990-02-28',
      'Line 1\nLine 2',
      null,
      '',
      'TR',
    ])
  })

  it('is the same in every version: what was stored can be opened', () => {
    expect(createHash('sha256').update(sealedOf().sealed).digest('hex')).toBe(
      '98a3271fc1cbcfddde8a2a250c0ff573d3e5d219f7409fb94b877f95fdfdca35',
    )
  })

  it('cannot be opened when a bit of it is changed, elsewhere, or with another key', () => {
    const contents = sealedOf()
    for (let at = 0; at < contents.sealed.length; at++) {
      const sealed = Buffer.from(contents.sealed)
      sealed[at] = (sealed[at] ?? 0) ^ 1
      expect(openIndex({ ...contents, sealed }, keyOf())).toBeUndefined()
    }
    expect(openContents({ ...contents, leadId: lead.lead_id.replace('1', '2') }, keyOf())).toBeUndefined()
    expect(openContents({ ...contents, leaf: 6 }, keyOf())).toBeUndefined()
    expect(openContents({ ...contents, tree: '0123456789abcdee' }, keyOf())).toBeUndefined()
    expect(openContents(contents, bytesOf('another leaf'))).toBeUndefined()
    expect(openContents({ ...contents, sealed: Buffer.alloc(0) }, keyOf())).toBeUndefined()
    expect(openContents({ ...contents, sealed: contents.sealed.subarray(0, 17) }, keyOf())).toBeUndefined()
  })

  it('leaves no key behind', () => {
    const key = keyOf()
    sealLead(lead, leadKey, { ...place, key })
    expect(key).toEqual(Buffer.alloc(32))
  })
})

describe('the hashes that leads are found by', () => {
  const of = (email: string, source: string | null = 'web') =>
    leadIdentity({ emailHash: hashText(emailHash(leadKey, email)), source })

  it('are those of the address, however it is written, and of the phone’s digits', () => {
    expect(emailHash(leadKey, 'Zoë@Example.org')).toEqual(emailHash(leadKey, ' zoe\u0308@example.ORG '))
    expect(phoneHash(leadKey, '+49 (30) 123-45')).toEqual(phoneHash(leadKey, '49 30 123 45'))
    expect(phoneHash(leadKey, '+ ()')).toBeUndefined()
    expect(of('Zoë@Example.org')).toBe(of(' zoe\u0308@example.ORG '))
    expect(of('a@example.org', null)).toBe(of('a@example.org', ''))
  })

  it.each([
    ['another address', of('a@example.org'), of('b@example.org')],
    ['another source', of('a@example.org', 'web'), of('a@example.org', 'fair')],
    ['a source in other letters', of('a@example.org', 'web'), of('a@example.org', 'Web')],
    ['no accent', of('zoë@example.org'), of('zoe@example.org')],
    ['a tag', of('a@example.org'), of('a+b@example.org')],
  ])('differ with %s', (_, one, another) => {
    expect(one).not.toBe(another)
  })

  it('say nothing without the master key, and never change from one version to the next', () => {
    expect(emailHash(other, lead.email)).not.toEqual(emailHash(leadKey, lead.email))
    expect(hashText(emailHash(leadKey, 'a@example.org'))).toBe('hrmWQ81n4sq5WEgEGDH7uQ')
    expect(hashText(phoneHash(leadKey, '12345') ?? Buffer.alloc(0))).toBe('pGR-plfCzCN2OW0hVPyOCw')
    expect(of('a@example.org')).toBe('xmEY-U1PzgQu3jckOKW3eA')
  })
})

describe('the master key', () => {
  it('makes hashes that are HMAC-SHA-256 under a key derived by HKDF', () => {
    const derived = hkdfSync('sha256', bytesOf('a master key of the tests'), '', 'millrace lead hashes 1', 32)
    for (const text of ['', 'x', 'Zoë'.repeat(100)]) {
      const expected = createHmac('sha256', Buffer.from(derived)).update(`phone\n${text}`).digest()
      expect(leadKey.hash('phone', text)).toEqual(expected)
    }
  })

  it('unwraps what it has wrapped, at its place', () => {
    const seed = bytesOf('a seed')
    const wrapped = leadKey.wrap(seed, 'here')
    expect(wrapped.includes(seed)).toBe(false)
    expect(leadKey.unwrap(wrapped, 'here')).toEqual(seed)
    expect(leadKey.wrap(seed, 'here')).not.toEqual(wrapped)
    expect(() => leadKey.unwrap(wrapped, 'there')).toThrow('MILLRACE_LEAD_KEY is not the key')
    expect(() => other.unwrap(wrapped, 'here')).toThrow('MILLRACE_LEAD_KEY is not the key')
    expect(() => leadKey.unwrap(Buffer.alloc(3), 'here')).toThrow('MILLRACE_LEAD_KEY is not the key')
  })

  it('is 32 bytes in base64, and says so', () => {
    const text = bytesOf('x').toString('base64')
    expect(leadKeyFault(text)).toBeUndefined()
    expect(readLeadKey(text).hash('email', 'x')).toEqual(new LeadKey(bytesOf('x')).hash('email', 'x'))
    const recipe = 'make one with: openssl rand -base64 32'
    expect(leadKeyFault(text.slice(4))).toBe(`must be 32 bytes in base64; it has 29: ${recipe}`)
    expect(leadKeyFault('not base64, but text')).toBe(`must be 32 bytes in base64: ${recipe}`)
    expect(leadKeyFault(bytesOf('x').toString('hex'))).toBe(`must be 32 bytes in base64; it has 48: ${recipe}`)
    expect(() => readLeadKey('')).toThrow('MILLRACE_LEAD_KEY must be 32 bytes')
  })

  it('is no text, and no byte again and again', () => {
    expect(isGuessableLeadKey(bytesOf('x').toString('base64'))).toBe(false)
    expect(isGuessableLeadKey(Buffer.from('for-development-on-loopback-only').toString('base64'))).toBe(true)
    expect(isGuessableLeadKey(Buffer.alloc(32, 0x91).toString('base64'))).toBe(true)
  })

  it('is in no log line', () => {
    expect(JSON.stringify({ leadKey })).toBe('{"leadKey":{}}')
  })
})

describe('a source of keys', () => {
  function setUp() {
    const trees: NewTree[] = []
    let failure: Error | undefined
    const source = new LeafSource(
      {
        async create(tree) {
          if (failure !== undefined) throw failure
          trees.push(tree)
        },
      },
      leadKey,
    )
    const fail = (error: Error | undefined) => {
      failure = error
    }
    return { source, trees, fail }
  }

  it('gives keys of trees that are kept, wrapped, each once', async () => {
    const { source, trees } = setUp()
    expect(source.take()).toBeUndefined()
    await Promise.all([source.hold(2), source.hold(2), source.hold(1)])
    expect([source.trees, trees.length]).toEqual([2, 2])
    const taken = Array.from({ length: 1_000 }, () => source.take())
    expect(new Set(taken.map((one) => `${one?.tree} ${one?.leaf}`)).size).toBe(1_000)
    expect(new Set(taken.map((one) => one?.key.toString('hex'))).size).toBe(1_000)
    for (const { tree, wrappedSeed } of trees) {
      expect(tree).toMatch(/^[0-9a-f]{16}$/)
      expect(leadKey.unwrap(wrappedSeed, `${tree}\n0\n16777215`)).toHaveLength(32)
    }
  })

  it('gives none of a tree that is not kept', async () => {
    const { source, fail } = setUp()
    fail(new Error('away'))
    await expect(source.hold(1)).rejects.toThrow('away')
    expect(source.take()).toBeUndefined()
    fail(undefined)
    await source.hold(1)
    expect(source.take()?.leaf).toBe(0)
  })
})
