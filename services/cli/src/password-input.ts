import type { Readable } from 'node:stream'
import { CommandError } from './command-error.ts'
import { passwordBytesMax } from './limits.ts'

/** Reads one line of a stream that is not a terminal, without its line break. Throws `CommandError`. */
export async function readPasswordFrom(stream: Readable & { readonly isTTY?: boolean }): Promise<string> {
  if (stream.isTTY === true) {
    throw new CommandError('USAGE', 'send the password on standard input, for instance from a file: … < password-file')
  }
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > passwordBytesMax)
      throw new CommandError('REFUSED', `the password has more than ${passwordBytesMax} bytes`)
    chunks.push(part)
  }
  const text = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (/[\r\n]/.test(text))
    throw new CommandError('REFUSED', 'standard input has more than one line: send the password only')
  return text
}
