import { describe, expect, it } from 'vitest'
import { figureOf } from './figures.ts'

const base = { bench: 'by-type', figure: 'CPU', unit: 'µs/record' }
const peer = (value: number | null) => ({ name: 'peer', value })

describe('figureOf', () => {
  it('says how many times better ours is, whichever way better goes', () => {
    expect(figureOf({ ...base, ours: 2, peer: peer(16), better: 'less' }).ratio).toBe(8)
    expect(figureOf({ ...base, ours: 2, peer: peer(16), better: 'more' }).ratio).toBe(0.125)
  })

  it('holds the ratio against the target where there is a peer, and ours where there is none', () => {
    expect(figureOf({ ...base, ours: 2, peer: peer(16), better: 'less', target: 8 }).met).toBe(true)
    expect(figureOf({ ...base, ours: 2.1, peer: peer(16), better: 'less', target: 8 }).met).toBe(false)
    expect(figureOf({ ...base, ours: 250, better: 'less', target: 250 }).met).toBe(true)
    expect(figureOf({ ...base, ours: 251, better: 'less', target: 250 }).met).toBe(false)
    expect(figureOf({ ...base, ours: 251, better: 'more', target: 250 }).met).toBe(true)
  })

  it('claims nothing about what was not measured', () => {
    const figure = figureOf({ ...base, ours: 2, peer: peer(null), better: 'less', target: 8 })
    expect(figure).toMatchObject({ peer: null, peer_name: 'peer', ratio: null, met: null })
    expect(figureOf({ ...base, ours: null, better: 'less', target: 8 }).met).toBeNull()
    expect(figureOf({ ...base, ours: 1, better: 'less' })).toMatchObject({ target: null, met: null, peer_name: null })
  })
})
