import { expect, it } from 'vitest'
import { lagOf } from './service-page.ts'

it('adds the lag of the partitions of one topic', () => {
  const metrics = [
    '# TYPE millrace_sink_lag_records gauge',
    'millrace_sink_lag_records{topic="leads",partition="0",service="x"} 3',
    'millrace_sink_lag_records{topic="leads",partition="1",service="x"} 4',
    'millrace_sink_lag_records{topic="leads.dlq",partition="0",service="x"} 100',
    'millrace_sink_lag_seconds{topic="leads",partition="0",service="x"} 1000',
  ].join('\n')
  expect(lagOf(metrics, 'leads')).toBe(7)
  expect(lagOf('', 'leads')).toBe(0)
})
