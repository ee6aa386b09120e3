/** A case, or a file of them, that is not as the format says. */
export class CaseError extends Error {
  override readonly name = 'CaseError'
}
