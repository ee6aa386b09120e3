import { crc32c } from '@millrace/streams'
import type { SpillFiles } from './files.ts'

/** Which log this is, and how far it is replayed. */
export interface SpillPosition {
  readonly logId: string
  /** Everything before this sequence is in Kafka. */
  readonly next: number
}

const fileName = 'position'
const newFileName = 'position.new'

/** Reads the position; undefined when there is none that is whole. */
export async function readPosition(files: SpillFiles): Promise<SpillPosition | undefined> {
  if (!(await files.list()).includes(fileName)) return undefined
  const file = await files.open(fileName)
  try {
    return parse((await file.read(0, await file.size())).toString('utf8'))
  } finally {
    await file.close()
  }
}

/** Writes the position so that it is either the old or the new one at any moment, and lasts. */
export async function writePosition(files: SpillFiles, position: SpillPosition): Promise<void> {
  const text = `${position.logId} ${position.next}`
  await files.remove(newFileName)
  const file = await files.create(newFileName)
  try {
    await file.write([Buffer.from(`${text} ${crc32c(Buffer.from(text))}\n`)], 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(newFileName, fileName)
  await files.sync()
}

function parse(line: string): SpillPosition | undefined {
  const [logId = '', next = '', checksum = ''] = line.trim().split(' ')
  if (crc32c(Buffer.from(`${logId} ${next}`)) !== Number(checksum)) return undefined
  return { logId, next: Number(next) }
}
