import { describe, expect, it } from 'vitest'
import type { GroupView } from '../core/broker.ts'
import { isMoveDue } from './assignment.ts'

type Share = { readonly id: string; readonly has: readonly number[]; readonly keeps?: readonly number[] }

/** Each number is that of two topics. */
function view(...shares: readonly Share[]): GroupView {
  const members = shares.map(({ id, has, keeps = [] }) => ({
    memberId: id,
    groupInstanceId: id,
    endpoint: null,
    partitions: has.flatMap((partition) => ['a', 'b'].map((topic) => ({ topic, partition }))),
    standbys: keeps,
  }))
  return { generationId: 1, members }
}

describe('a move to this member', () => {
  it('is due when one whose numbers it keeps warm has two more', () => {
    expect(isMoveDue(view({ id: 'me', has: [], keeps: [1] }, { id: 'other', has: [0, 1] }), 'me')).toBe(true)
    expect(isMoveDue(view({ id: 'me', has: [2], keeps: [1] }, { id: 'other', has: [0, 1] }), 'me')).toBe(false)
  })

  it('is not due for the numbers of others', () => {
    const division = view({ id: 'me', has: [], keeps: [3] }, { id: 'rich', has: [0, 1, 2] }, { id: 'poor', has: [3] })
    expect(isMoveDue(division, 'me')).toBe(false)
  })

  it('may be due when the view does not show the others', () => {
    expect(isMoveDue(view({ id: 'me', has: [0] }), 'me')).toBe(true)
    expect(isMoveDue(view({ id: 'other', has: [0] }, { id: 'another', has: [] }), 'me')).toBe(true)
  })
})
