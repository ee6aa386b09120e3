import type { Producer } from '@millrace/streams'

/** A producer that is still being opened: what it is given waits for that. Rejects with what the opening fails with. */
export function lateProducer(opening: Promise<Producer>): Producer {
  // Whoever sends is told; nobody may have sent yet.
  opening.catch(() => {})
  return {
    send: async (records) => (await opening).send(records),
    async close() {
      const opened = await opening.catch(() => undefined)
      await opened?.close()
    },
  }
}
