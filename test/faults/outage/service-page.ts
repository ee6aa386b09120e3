/** What a sink says on its health port. */
export class SinkPage {
  readonly #url: string

  constructor(port: number) {
    this.#url = `http://127.0.0.1:${port}`
  }

  /** The status of `/readyz`; 0 when nobody answers. */
  async readiness(): Promise<number> {
    return fetch(`${this.#url}/readyz`).then(
      ({ status }) => status,
      () => 0,
    )
  }

  /** Records of a topic that are not stored, of all its partitions; 0 also when nobody answers. */
  async lagRecords(topic: string): Promise<number> {
    const text = await fetch(`${this.#url}/metrics`).then(
      (answer) => answer.text(),
      () => '',
    )
    return lagOf(text, topic)
  }
}

/** The sum of `millrace_sink_lag_records` of a topic in a page of metrics. */
export function lagOf(metrics: string, topic: string): number {
  let lag = 0
  for (const [, labels = '', value] of metrics.matchAll(/^millrace_sink_lag_records\{([^}]*)\} (\S+)$/gm)) {
    if (labels.includes(`topic="${topic}"`)) lag += Number(value)
  }
  return lag
}
