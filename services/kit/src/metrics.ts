import { collectDefaultMetrics, Registry } from 'prom-client'

/** prom-client's instruments, so that services need no second dependency; pass `registers: [registry]`. */
export { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Makes a registry of its own (never prom-client's global one), with the process's own figures and a `service` label on everything. */
export function createMetrics(options: { readonly service: string; readonly processMetrics?: boolean }): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ service: options.service })
  if (options.processMetrics !== false) collectDefaultMetrics({ register: registry })
  return registry
}
