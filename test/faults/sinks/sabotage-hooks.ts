import { registerHooks } from 'node:module'
import { sabotagedSource } from './sabotage.ts'

/** Changes one module of this process when it is loaded. For processes of a run that must notice. */
export function sabotage(change: { readonly url: string; readonly replace: string; readonly by: string }): void {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== change.url || loaded.source === undefined) return loaded
      return { ...loaded, source: sabotagedSource(String(loaded.source), change) }
    },
  })
}
