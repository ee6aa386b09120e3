import { expect, it } from 'vitest'
import { scheduleFlights } from './demo.ts'
import { flights } from './flights.ts'

const startMs = Date.UTC(2026, 0, 1)

it('plays the flights from the start on, at the chosen speed', () => {
  const events = flights(3)
  const scheduled = [...scheduleFlights(events, { startMs, speed: 60, eventsMax: 3 })]
  const first = events[0]?.timestamp ?? 0
  expect(scheduled.map(({ timestamp }) => timestamp)).toEqual(
    events.map(({ timestamp }) => Math.round(startMs + (timestamp - first) / 60)),
  )
  expect(scheduled.map(({ metadata }) => metadata)).toEqual(events.map(({ metadata }) => metadata))
})

it('begins again after the last one, later and with other ids', () => {
  const events = flights(3)
  const scheduled = [...scheduleFlights(events, { startMs, speed: 1_000, eventsMax: 7 })]
  expect(scheduled).toHaveLength(7)
  expect(new Set(scheduled.map(({ event_id }) => event_id)).size).toBe(7)
  const times = scheduled.map(({ timestamp }) => timestamp)
  expect(times).toEqual([...times].sort((a, b) => a - b))
})

it('gives the same events for the same start, so that a repetition counts once', () => {
  const events = flights(10)
  const options = { startMs, speed: 10, eventsMax: 25 }
  expect([...scheduleFlights(events, options)]).toEqual([...scheduleFlights(events, options)])
})

it('plays nothing when there is nothing', () => {
  expect([...scheduleFlights([], { startMs, speed: 1, eventsMax: 10 })]).toEqual([])
})
