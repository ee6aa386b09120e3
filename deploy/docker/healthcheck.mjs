// The health check of our containers: exits 0 when the service in this container is ready.
const port = process.env.MILLRACE_HEALTH_PORT ?? process.env.MILLRACE_HTTP_PORT ?? '8080'
const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(4_000) })
process.exit(response.ok ? 0 : 1)
