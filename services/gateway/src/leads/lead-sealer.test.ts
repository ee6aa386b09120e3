import type { PlainLead } from '@millrace/storage/sealing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryLeadKeys } from '../../test/memory-lead-keys.ts'
import { LeadSealer } from './lead-sealer.ts'

const lead: PlainLead = {
  lead_id: '7b0c1d2e-0000-4000-8000-000000000001',
  first_name: 'Ada',
  last_name: 'Lovelace',
  email: 'ada@example.com',
  phone: null,
  date_of_birth: null,
  address: null,
  city: null,
  postal_code: null,
  country: 'GB',
  source: 'web',
  campaign: null,
  consent: true,
  attributes: '{"plan":"pro"}',
  content_hash: 'a'.repeat(64),
  submitted_by: 'u',
  request_id: 'r',
  received_at: 1,
}

let keys: MemoryLeadKeys
let lines: string[]
let sealer: LeadSealer
/** Ends the pause that the sealer makes. */
let endPause: () => void
beforeEach(() => {
  keys = new MemoryLeadKeys()
  lines = []
  const note = (level: string) => (_: unknown, text?: string) => void lines.push(`${level} ${text ?? String(_)}`)
  const pause = () =>
    new Promise<void>((resolve) => {
      endPause = resolve
    })
  const logger = { info: note('info'), warn: note('warn') }
  sealer = new LeadSealer({ trees: keys, leadKey: keys.leadKey, logger, pause })
})
afterEach(() => sealer.close())

/** Lets a pause end, and what follows happen. */
async function paused(): Promise<void> {
  endPause()
  await new Promise((resolve) => setImmediate(resolve))
}

describe('the sealer of leads', () => {
  it('seals with keys that are kept, and has as many again in reserve', async () => {
    await sealer.begin(1_000)
    expect(keys.size).toBe(2)
    sealer.requireReserve()
    const records = [sealer.seal(lead), sealer.seal(lead)]
    expect(new Set(records.map(({ key_leaf }) => key_leaf)).size).toBe(2)
    expect(JSON.stringify(records.map(({ sealed, ...shown }) => shown))).not.toMatch(
      /"Ada"|Lovelace|@example|plan|"GB"/,
    )
    const { content_hash, ...rest } = lead
    for (const record of records) expect(keys.open(record)).toMatchObject(rest)
    expect(keys.size).toBe(2)
  })

  it('refuses leads when there have been no keys yet, tries again, and says so once', async () => {
    keys.failure = new Error('away')
    await sealer.begin(1)
    expect(() => sealer.seal(lead)).toThrow(expect.objectContaining({ code: 'NOT_READY' }))
    expect(() => sealer.requireReserve()).toThrow('could not be put into MySQL')
    for (let i = 0; i < 3; i++) await paused()
    expect(lines).toEqual([expect.stringMatching(/^warn .*cannot be put into MySQL/)])
    keys.failure = undefined
    await paused()
    expect(keys.open(sealer.seal(lead)).email).toBe(lead.email)
    expect(lines[1]).toMatch(/^info .*in reserve again$/)
  })

  it('goes on with what it has while the table of keys cannot be written', async () => {
    await sealer.begin(1_000)
    keys.failure = new Error('away')
    for (let i = 0; i < 50; i++) sealer.seal(lead)
    sealer.requireReserve()
    expect(lines).toEqual([])
  })

  it('asks for nothing more when it is closed', async () => {
    keys.failure = new Error('away')
    await sealer.begin(1)
    sealer.close()
    keys.failure = undefined
    await paused()
    expect(keys.size).toBe(0)
  })
})
