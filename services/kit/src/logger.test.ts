import { describe, expect, it } from 'vitest'
import { createLogger } from './logger.ts'

function collect(fields: readonly string[] = []) {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  return { lines, logger: createLogger({ service: 'sink', level: 'info', fields, destination }) }
}

describe('createLogger', () => {
  it('keeps allowed fields and only names the others', () => {
    const { lines, logger } = collect(['sink'])
    logger.info({ topic: 'leads', sink: 'mysql', email: 'ann@example.org' }, 'stored')
    expect(lines[0]).toMatchObject({ level: 'info', service: 'sink', topic: 'leads', sink: 'mysql', msg: 'stored' })
    expect(lines[0]).toMatchObject({ dropped_fields: ['email'] })
    expect(JSON.stringify(lines)).not.toContain('ann@')
  })

  it('writes errors with their code and causes', () => {
    const { lines, logger } = collect()
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    logger.error({ err: new Error('database away', { cause }) }, 'failed')
    expect(lines[0]).toMatchObject({
      err: {
        type: 'Error',
        message: 'database away',
        causes: [{ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }],
      },
    })
  })
})
