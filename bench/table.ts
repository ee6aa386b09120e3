/** Text in columns for a terminal: the first column to the left, all others to the right, the header underlined. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const write = (line: readonly string[]) =>
    widths
      .map((width, column) =>
        column === 0 ? (line[column] ?? '').padEnd(width) : (line[column] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd()
  return [write(header), widths.map((width) => '─'.repeat(width)).join('──'), ...rows.map(write)].join('\n')
}

/** A number for people: thousands apart, and as many decimals as its size deserves. `–` when there is none. */
export function numberText(value: number | null): string {
  if (value === null) return '–'
  const decimals = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

/** `7.4×`. */
export function ratioText(value: number | null): string {
  return value === null ? '–' : `${numberText(value)}×`
}
