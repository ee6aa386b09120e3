/** Why a command was not carried out: said to whoever typed it. */
export const commandErrorCodes = ['USAGE', 'REFUSED'] as const
export type CommandErrorCode = (typeof commandErrorCodes)[number]

/** `USAGE`: the command line is not right, nothing was tried (exit code 2). `REFUSED`: it is, but it cannot be done (exit code 1). */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly code: CommandErrorCode

  constructor(code: CommandErrorCode, message: string) {
    super(message)
    this.code = code
  }

  /** What the process exits with. */
  get exitCode(): number {
    return this.code === 'USAGE' ? 2 : 1
  }
}
