import { describe, expect, it } from 'vitest'
import { flights, flightsMax, readFlights, toEvent } from './flights.ts'

describe('toEvent', () => {
  const flight = { date: '2001/01/01 00:47', delay: 66, distance: 1750, origin: 'DTW', destination: 'LAS' }

  it('keeps the original time, in UTC, and averages the delay', () => {
    expect(toEvent(flight, 7)).toEqual({
      event_id: 'flight-000007',
      user_id: 'DTW',
      event_type: 'flight.other',
      timestamp: Date.UTC(2001, 0, 1, 0, 47),
      metadata: { value: 66, origin: 'DTW', destination: 'LAS', distance: 1750 },
    })
  })

  it('gives the busiest airports a type of their own', () => {
    expect(toEvent({ ...flight, origin: 'ORD' }, 0).event_type).toBe('flight.ord')
  })

  it('refuses a date it does not understand', () => {
    expect(() => toEvent({ ...flight, date: '01/01/2001' }, 0)).toThrow('"01/01/2001"')
  })
})

describe('flights', () => {
  it('are 20,000, in time order, each with an id of its own', () => {
    const events = flights()
    expect(events).toHaveLength(flightsMax)
    expect(readFlights()).toHaveLength(flightsMax)
    expect(new Set(events.map(({ event_id }) => event_id)).size).toBe(flightsMax)
    const times = events.map(({ timestamp }) => timestamp)
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(new Set(events.map(({ event_type }) => event_type)).size).toBe(6)
  })

  it('are the same in every call', () => {
    expect(flights(50)).toEqual(flights(100).slice(0, 50))
  })

  it.each([-1, 1.5, flightsMax + 1])('refuse a count of %s', (count) => {
    expect(() => flights(count)).toThrow(RangeError)
  })
})
