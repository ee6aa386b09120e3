/** Why a text is no pattern; the message completes "the pattern …". */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}
