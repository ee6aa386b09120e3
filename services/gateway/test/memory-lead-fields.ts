import type { KeptLeadFields, LeadFieldStore, LeadFieldsChanger, LeadFieldsOutcome } from '../src/leads/ports.ts'

const sourcesMax = 100

/** Definitions of lead fields in memory: as strict as MySQL's, for one process. */
export class MemoryLeadFields implements LeadFieldStore {
  readonly kept = new Map<string, KeptLeadFields>()
  /** Every change that was made: what, to which, by whom. */
  readonly notes: { readonly action: string; readonly id: string; readonly actor: string }[] = []
  /** How often all definitions were read. */
  reads = 0
  /** What every method throws while it is set. */
  failure: Error | undefined
  #changes = 0

  async changes() {
    this.#answer()
    return this.#changes
  }

  async readAll() {
    this.#answer()
    this.reads++
    return { changes: this.#changes, sources: [...this.kept.values()] }
  }

  async byId(id: string) {
    this.#answer()
    return this.kept.get(id)
  }

  async create(fields: Parameters<LeadFieldStore['create']>[0], by: LeadFieldsChanger): Promise<LeadFieldsOutcome> {
    this.#answer()
    const same = [...this.kept.values()].find(({ source }) => source === fields.source)
    if (same !== undefined) return { outcome: 'exists', id: same.id }
    if (this.kept.size >= sourcesMax) return { outcome: 'full' }
    return this.#keep({ ...fields, version: 1, changedAt: new Date() }, 'created', by)
  }

  async replace(
    id: string,
    content: Parameters<LeadFieldStore['replace']>[1],
    by: Parameters<LeadFieldStore['replace']>[2],
  ): Promise<LeadFieldsOutcome> {
    const found = this.#find(id, by.versions)
    if ('outcome' in found) return found
    return this.#keep({ ...found, ...content, version: found.version + 1, changedAt: new Date() }, 'updated', by)
  }

  async remove(id: string, by: Parameters<LeadFieldStore['remove']>[1]): Promise<LeadFieldsOutcome> {
    const found = this.#find(id, by.versions)
    if ('outcome' in found) return found
    this.#keep(found, 'deleted', by)
    this.kept.delete(id)
    return { outcome: 'done', stored: found }
  }

  #find(id: string, versions: readonly number[] | 'any'): KeptLeadFields | LeadFieldsOutcome {
    this.#answer()
    const found = this.kept.get(id)
    if (found === undefined) return { outcome: 'missing' }
    const isVersion = versions === 'any' || versions.includes(found.version)
    return isVersion ? found : { outcome: 'changed', version: found.version }
  }

  #keep(stored: KeptLeadFields, action: string, { actor }: LeadFieldsChanger): LeadFieldsOutcome {
    this.kept.set(stored.id, stored)
    this.notes.push({ action, id: stored.id, actor })
    this.#changes++
    return { outcome: 'done', stored }
  }

  #answer(): void {
    if (this.failure !== undefined) throw this.failure
  }
}
