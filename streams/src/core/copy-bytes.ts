/** Up to here a loop is faster than a call of native code. */
const shortBytesMax = 48

/** Copies the bytes of `from` from `start` to before `end` to `to`, which has room for them from `at` on; returns the position behind them. None when `end` is not behind `start`. */
export function copyBytes(from: Buffer, to: Buffer, at: number, start = 0, end = from.length): number {
  if (end - start > shortBytesMax) return at + from.copy(to, at, start, end)
  let behind = at
  for (let i = start; i < end; i++) to[behind++] = from[i] ?? 0
  return behind
}
