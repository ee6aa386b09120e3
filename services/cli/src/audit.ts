import type { AuditRepository } from '@millrace/storage/mysql'
import { CommandError } from './command-error.ts'

/** `millrace audit verify`: recomputes the chain of the audit log. Throws `CommandError` when an entry was changed, moved or taken out. */
export async function runAudit(
  args: readonly string[],
  deps: { readonly audit: Pick<AuditRepository, 'verify'>; readonly print: (line: string) => void },
): Promise<void> {
  if (args.length !== 1 || args[0] !== 'verify') throw new CommandError('USAGE', 'millrace audit verify')
  const { entries, head, brokenAt } = await deps.audit.verify()
  if (brokenAt !== undefined) {
    throw new CommandError('REFUSED', `the audit log is not as it was written: entry ${brokenAt} is changed or missing`)
  }
  deps.print(`${entries} entries, all as they were written; the last hash is ${head}`)
}
