/** Why a fault run could not be done, in words for the person who started it. What a run finds out is no error, but its verdict. */
export class FaultError extends Error {
  override readonly name = 'FaultError'
}
