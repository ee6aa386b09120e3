/** What a process measured of itself, on either side. */
export interface Measurement {
  readonly event: 'done'
  /** Records of the input, or of the changelog for a restore. */
  readonly records: number
  readonly seconds: number
  /** User and system time of all threads, in that span. */
  readonly cpuMicros: number
  /** The largest resident set since the process began; null where the system does not tell. */
  readonly peakBytes: number | null
  /** Records that were late or could not be used: must be 0. */
  readonly dropped: number
}

/** Records per second. */
export function rateOf({ records, seconds }: Measurement): number {
  return records / seconds
}

/** CPU per record. */
export function cpuMicrosOf({ records, cpuMicros }: Measurement): number {
  return cpuMicros / records
}
