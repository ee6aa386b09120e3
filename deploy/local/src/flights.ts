import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** One flight of the package vega-datasets, as it stands in `data/flights-20k.json`. */
export interface Flight {
  /** Scheduled departure, `2001/01/01 00:47`; the data names no time zone and we take it for UTC. */
  readonly date: string
  /** Arrival delay in minutes; negative when early. */
  readonly delay: number
  readonly distance: number
  readonly origin: string
  readonly destination: string
}

/** One flight as the gateway's `POST /events` takes it. `metadata.value` is what gets averaged. */
export interface FlightEvent {
  readonly event_id: string
  readonly user_id: string
  readonly event_type: string
  readonly timestamp: number
  readonly metadata: {
    readonly value: number
    readonly origin: string
    readonly destination: string
    readonly distance: number
  }
}

/** How many flights the data set has: three months of 2001, in time order. */
export const flightsMax = 20_000

/**
 * The first `count` flights as events, in time order, with their original times. The ids are the same in every call;
 * a caller that wants others puts something in front.
 */
export function flights(count: number = flightsMax): FlightEvent[] {
  if (!Number.isInteger(count) || count < 0 || count > flightsMax) {
    throw new RangeError(
      `There are ${flightsMax} flights: count must be a whole number from 0 to ${flightsMax}, not ${count}`,
    )
  }
  return readFlights()
    .slice(0, count)
    .map((flight, index) => toEvent(flight, index))
}

/** Reads the data set. */
export function readFlights(): Flight[] {
  // The package exports its door only; the data stands beside it.
  const door = createRequire(import.meta.url).resolve('vega-datasets')
  return JSON.parse(readFileSync(join(dirname(door), '..', 'data', 'flights-20k.json'), 'utf8'))
}

/** The event of the `index`-th flight. */
export function toEvent(flight: Flight, index: number): FlightEvent {
  return {
    event_id: `flight-${String(index).padStart(6, '0')}`,
    user_id: flight.origin,
    event_type: eventType(flight.origin),
    timestamp: departureMs(flight.date),
    metadata: {
      value: flight.delay,
      origin: flight.origin,
      destination: flight.destination,
      distance: flight.distance,
    },
  }
}

/** The five busiest airports have a type of their own; a chart with 220 lines shows nothing. */
const busiest: ReadonlySet<string> = new Set(['ATL', 'DFW', 'LAX', 'ORD', 'PHX'])

function eventType(origin: string): string {
  return busiest.has(origin) ? `flight.${origin.toLowerCase()}` : 'flight.other'
}

function departureMs(date: string): number {
  const match = /^(\d{4})\/(\d{2})\/(\d{2}) (\d{2}):(\d{2})$/.exec(date)
  if (match === null) throw new Error(`A flight's date has the form 2001/01/31 23:59, not "${date}"`)
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0] = match.slice(1).map(Number)
  return Date.UTC(year, month - 1, day, hour, minute)
}
