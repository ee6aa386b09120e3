import { expect, test } from 'vitest'
import { firstEventCommands } from './first-event.ts'

test('uses the development account on the own machine only', () => {
  expect(firstEventCommands('http://127.0.0.1:8080')).toContain('"api_user"')
  expect(firstEventCommands('http://localhost:8080')).toContain('"api_user"')
  expect(firstEventCommands('https://events.example.com')).toContain('"YOUR_USER"')
})

test('posts to where the page came from, with JSON that is whole once the shell has put the time in', () => {
  const commands = firstEventCommands('http://127.0.0.1:8080')
  expect(commands).toContain('curl -i http://127.0.0.1:8080/events')
  const body = /-d '(\{"event_id".*\})'$/.exec(commands)?.[1]?.replaceAll("'$(date +%s)'", '1700000000') ?? ''
  expect(JSON.parse(body)).toEqual({
    event_id: 'first-1700000000',
    user_id: 'user-1',
    event_type: 'page_view',
    timestamp: 1_700_000_000,
    metadata: { value: 42 },
  })
})
