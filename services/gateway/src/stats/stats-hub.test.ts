import type { EventStats } from '@millrace/schemas'
import { describe, expect, it } from 'vitest'
import { StatsHub } from './stats-hub.ts'

function stats(event_type: string, interval = '10s', count = 1): EventStats {
  return {
    event_type,
    interval,
    window_start: 0,
    window_end: 10_000,
    count,
    value_count: 0,
    sum: 0,
    avg: null,
    min: null,
    max: null,
    final: false,
    updated_at: 0,
  }
}

function client(answers = true) {
  const texts: string[] = []
  const sink = {
    ended: false,
    hasRoom: true,
    onRoom: undefined as (() => void) | undefined,
    send(text: string) {
      texts.push(text)
      return answers
    },
    end() {
      sink.ended = true
    },
  }
  return { sink, texts, counts: () => texts.flatMap((text) => /"count":(\d+)/.exec(text)?.[1] ?? []) }
}

const all = { eventType: undefined, interval: undefined }

describe('a client', () => {
  it('gets each update as one event, with the position after it as the id', () => {
    const hub = new StatsHub()
    hub.restart([5, 0])
    const { sink, texts } = client()
    hub.subscribe(all, sink, undefined)
    hub.publish(stats('view'), { partition: 0, offset: 7 })
    expect(texts[0]).toBe('id: 5.0\nevent: ready\ndata: {}\n\n')
    expect(texts[1]).toMatch(/^id: 8\.0\nevent: stats\ndata: \{"time_interval":"10s","event_type":"view",.*\}\n\n$/)
  })

  it('gets only what it asked for', () => {
    const hub = new StatsHub()
    hub.restart([0])
    const views = client()
    const minutes = client()
    hub.subscribe({ ...all, eventType: 'view' }, views.sink, undefined)
    hub.subscribe({ ...all, interval: '1m' }, minutes.sink, undefined)
    hub.publish(stats('view', '10s', 1), { partition: 0, offset: 0 })
    hub.publish(stats('buy', '1m', 2), { partition: 0, offset: 1 })
    expect(views.counts()).toEqual(['1'])
    expect(minutes.counts()).toEqual(['2'])
  })

  it('that comes back gets exactly what it missed, in order', () => {
    const hub = new StatsHub()
    hub.restart([0, 0])
    for (let i = 0; i < 6; i++) hub.publish(stats('view', '10s', i), { partition: i % 2, offset: Math.floor(i / 2) })
    const { sink, counts } = client()
    hub.subscribe(all, sink, '1.2')
    hub.publish(stats('view', '10s', 99), { partition: 0, offset: 3 })
    expect(counts()).toEqual(['2', '4', '5', '99'])
  })

  it('that missed more than it can take at once gets it as it reads, and what comes meanwhile behind it', () => {
    const hub = new StatsHub({ ringMax: 4 })
    hub.restart([0])
    const publish = (i: number) => hub.publish(stats('view', '10s', i), { partition: 0, offset: i })
    for (let i = 0; i < 5; i++) publish(i)
    const { sink, counts } = client()
    sink.hasRoom = false
    hub.subscribe(all, sink, '1')
    publish(5)
    expect(counts()).toEqual([])
    sink.hasRoom = true
    sink.onRoom?.()
    expect(counts()).toEqual(['1', '2', '3', '4', '5'])
    publish(6)
    expect(counts().at(-1)).toBe('6')
  })

  it('that never takes what it missed is asked to come back, and forgotten', () => {
    const hub = new StatsHub({ ringMax: 4 })
    hub.restart([0])
    const publish = (i: number) => hub.publish(stats('view', '10s', i), { partition: 0, offset: i })
    publish(0)
    const { sink, counts } = client()
    sink.hasRoom = false
    hub.subscribe(all, sink, '0')
    for (let i = 1; i < 20; i++) publish(i)
    expect([hub.size, sink.ended, counts()]).toEqual([0, true, []])
  })

  it.each(['2.0.0', '9.9', 'x', '', '0.0', '1', '-1.2', '1e3.0'])(
    'that comes back with %j, which cannot be told, begins anew',
    (id) => {
      const hub = new StatsHub({ ringMax: 2 })
      hub.restart([0, 0])
      for (let i = 0; i < 8; i++) hub.publish(stats('view'), { partition: 0, offset: i })
      const { sink, texts } = client()
      hub.subscribe(all, sink, id)
      expect(texts).toEqual(['id: 8.0\nevent: reset\ndata: {}\n\n'])
    },
  )

  it('that reads too slowly is let go, and comes back for the rest', () => {
    const hub = new StatsHub()
    hub.restart([0])
    const slow = client(false)
    hub.subscribe(all, slow.sink, undefined)
    expect(hub.size).toBe(0)
  })
})

describe('the hub', () => {
  it('passes over what it has had already', () => {
    const hub = new StatsHub()
    hub.restart([0])
    const { sink, counts } = client()
    hub.subscribe(all, sink, undefined)
    hub.publish(stats('view', '10s', 1), { partition: 0, offset: 4 })
    hub.publish(stats('view', '10s', 2), { partition: 0, offset: 4 })
    hub.publish(stats('view', '10s', 3), { partition: 0, offset: 3 })
    expect(counts()).toEqual(['1'])
  })

  it('bounds its clients and its memory', () => {
    const hub = new StatsHub({ ringMax: 10, streamsMax: 1 })
    hub.restart([0])
    for (let i = 0; i < 1_000; i++) hub.publish(stats('view', '10s', i), { partition: 0, offset: i })
    const { sink, counts } = client()
    const leave = hub.subscribe(all, sink, '990')
    expect(counts()).toHaveLength(10)
    expect(() => hub.subscribe(all, client().sink, undefined)).toThrow('[OVERLOADED]')
    leave()
    expect(() => hub.subscribe(all, client().sink, undefined)).not.toThrow()
  })

  it('tells its clients when it begins anew, and ends them when it closes', () => {
    const hub = new StatsHub()
    hub.restart([3])
    const { sink, texts } = client()
    hub.subscribe(all, sink, undefined)
    hub.restart([0])
    hub.heartbeat()
    hub.close()
    expect(texts.slice(1)).toEqual(['id: 0\nevent: reset\ndata: {}\n\n', ':\n\n'])
    expect(sink.ended).toBe(true)
  })
})
