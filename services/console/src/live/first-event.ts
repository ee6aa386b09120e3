/**
 * The shell commands that send a first event to the gateway at `origin`: sign in, then post. On the developer's own machine the account
 * is the one `npm start` creates; elsewhere the reader has to put in one that may write events.
 */
export function firstEventCommands(origin: string): string {
  const account = isLoopback(origin)
    ? '{"username":"api_user","password":"api123"}'
    : '{"username":"YOUR_USER","password":"YOUR_PASSWORD"}'
  return [
    `TOKEN=$(curl -s ${origin}/api/v1/login -H 'content-type: application/json' \\`,
    `  -d '${account}' | sed -E 's/.*"token": *"([^"]+)".*/\\1/')`,
    '',
    `curl -i ${origin}/events -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \\`,
    `  -d '{"event_id":"first-'$(date +%s)'","user_id":"user-1","event_type":"page_view","timestamp":'$(date +%s)',"metadata":{"value":42}}'`,
  ].join('\n')
}

function isLoopback(origin: string): boolean {
  const { hostname } = new URL(origin)
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}
