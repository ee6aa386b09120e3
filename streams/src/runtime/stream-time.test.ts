import { describe, expect, test } from 'vitest'
import { StreamTime } from './stream-time.ts'

const writers = [
  { subtopology: 0, partition: 0 },
  { subtopology: 0, partition: 1 },
  { subtopology: 0, partition: 2 },
]

function mark(partition: number, streamTimeMs: number, idle = false) {
  return { subtopology: 0, partition, streamTimeMs, idle }
}

test('without watermarks it is the largest timestamp seen', () => {
  const time = new StreamTime(new Map())
  expect(time.nowMs).toBe(-1)
  time.observe(5)
  time.observe(3)
  expect(time.nowMs).toBe(5)
})

describe('with watermarks', () => {
  test('it is the minimum over the writers, and records do not move it', () => {
    const time = new StreamTime(new Map([['t', writers]]))
    time.observe(1_000)
    time.mark('t', mark(0, 100))
    time.mark('t', mark(1, 50))
    expect(time.nowMs).toBe(-1)
    time.mark('t', mark(2, 80))
    expect(time.nowMs).toBe(50)
    time.mark('t', mark(1, 90))
    expect(time.nowMs).toBe(80)
  })

  test('idle writers are left out until they are heard again, and it never goes back', () => {
    const time = new StreamTime(new Map([['t', writers]]))
    time.mark('t', mark(0, 100))
    time.mark('t', mark(1, -1, true))
    time.mark('t', mark(2, 200))
    expect(time.nowMs).toBe(100)
    time.mark('t', mark(1, 20))
    expect(time.nowMs).toBe(100)
    time.mark('t', mark(0, 300))
    expect(time.nowMs).toBe(100)
    time.mark('t', mark(1, 250))
    expect(time.nowMs).toBe(200)
  })

  test('when all are idle it is the maximum of theirs', () => {
    const time = new StreamTime(new Map([['t', writers]]))
    for (const [partition, last] of [100, 300, 200].entries()) time.mark('t', mark(partition, last, true))
    expect(time.nowMs).toBe(300)
  })

  test('takes the minimum over several topics', () => {
    const time = new StreamTime(
      new Map([
        ['t', writers.slice(0, 1)],
        ['u', writers.slice(0, 1)],
      ]),
    )
    time.mark('t', mark(0, 100))
    expect(time.nowMs).toBe(-1)
    time.mark('u', mark(0, 40))
    expect(time.nowMs).toBe(40)
  })

  test('a mark of a writer that is not expected is ignored', () => {
    const time = new StreamTime(new Map([['t', writers.slice(0, 1)]]))
    time.mark('t', mark(7, 10))
    time.mark('x', mark(0, 10))
    expect(time.nowMs).toBe(-1)
  })

  test('goes on after a restart from the time and the marks that were committed', () => {
    const before = new StreamTime(new Map([['t', writers]]))
    before.mark('t', mark(0, 100))
    before.mark('t', mark(1, 60, true))
    before.mark('t', mark(2, 70))
    const after = new StreamTime(new Map([['t', writers]]))
    after.restore('t', before.nowMs, before.marksOf('t'))
    expect(after.nowMs).toBe(70)
    after.mark('t', mark(2, 170))
    expect(after.nowMs).toBe(100)
  })
})
