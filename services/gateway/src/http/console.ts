import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import { GatewayError } from '../errors.ts'
import type { GatewayApp } from './gateway-app.ts'

/** Vite names these files by their content: they never change. */
const immutableFor = 'public, max-age=31536000, immutable'

/**
 * Serves the console's built files at `/`: one route per file that is there at the start, so that no path can ask for another one. Without
 * them, `/` says how to build them.
 */
export async function registerConsole(app: GatewayApp, directory: string): Promise<void> {
  if (!existsSync(join(directory, 'index.html'))) {
    app.route({
      method: 'GET',
      url: '/',
      config: { access: 'public', logged: false },
      schema: { hide: true },
      handler: async () => {
        throw new GatewayError(
          'ROUTE_NOT_FOUND',
          'The console is not built: run "npm run build -w services/console". The API is described at /docs.',
        )
      },
    })
    return
  }
  await app.register(async (scope: GatewayApp) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'public', logged: false }
      route.schema = { ...route.schema, hide: true }
    })
    await scope.register(fastifyStatic, {
      root: directory,
      wildcard: false,
      cacheControl: false,
      setHeaders: (reply, path) => {
        reply.header('cache-control', path.includes('/assets/') ? immutableFor : 'no-cache')
      },
    })
  })
}
