/** Why a bench did not measure, in words for the person who ran it. */
export class BenchError extends Error {
  override readonly name = 'BenchError'
}
