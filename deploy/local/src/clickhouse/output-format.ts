/** ClickHouse's default over HTTP. */
export const defaultFormat = 'TabSeparated'

/**
 * Whether the chunks of a streamed result can simply be put one after another. A document format (JSON, Parquet, one
 * with a header line) begins anew in each chunk, so its result is answered whole.
 */
export function canStream(format: string): boolean {
  return chunked.has(format)
}

/** The media type that ClickHouse answers for a format. */
export function contentType(format: string): string {
  if (/^JSON.*EachRow|^NDJSON$|^JSONLines$/.test(format)) return 'application/x-ndjson; charset=UTF-8'
  if (/^JSON/.test(format)) return 'application/json; charset=UTF-8'
  if (/^(TabSeparated|TSV)/.test(format)) return 'text/tab-separated-values; charset=UTF-8'
  if (format === 'CSV') return 'text/csv; charset=UTF-8; header=absent'
  if (/^CSV/.test(format)) return 'text/csv; charset=UTF-8; header=present'
  if (/^(RowBinary|Native|Parquet|Avro|Arrow|ORC|MsgPack|RawBLOB|Protobuf|Npy|BSON)/.test(format))
    return 'application/octet-stream'
  return 'text/plain; charset=UTF-8'
}

const chunked: ReadonlySet<string> = new Set([
  'CSV',
  'JSONCompactEachRow',
  'JSONCompactStringsEachRow',
  'JSONEachRow',
  'JSONLines',
  'JSONStringsEachRow',
  'LineAsString',
  'NDJSON',
  'Native',
  'RawBLOB',
  'RowBinary',
  'TSKV',
  'TSV',
  'TSVRaw',
  'TabSeparated',
  'TabSeparatedRaw',
])
