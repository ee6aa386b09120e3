import { expect, it } from 'vitest'
import { InsertLog } from './insert-log.ts'

it('tells repetitions by the same process from those by another', () => {
  const log = new InsertLog()
  log.asked('once', 'a')
  log.answered('once')
  log.asked('again', 'a')
  log.answered('again')
  log.asked('again', 'a')
  log.answered('again')
  log.asked('over', 'a')
  log.asked('over', 'b')
  log.answered('over')
  expect([log.inserts, log.answeredAgain, log.takenOver]).toEqual([3, 1, 1])
})
