import { defineConfig, loadEnv } from 'vite'

/**
 * Static files for the gateway to serve under `default-src 'self'`: nothing is inlined as a data: address, and no script or style is
 * written into the HTML. `npm run dev -w services/console` serves the sources and passes API calls on to a running gateway.
 */
export default defineConfig(({ mode }) => {
  const gatewayUrl = loadEnv(mode, '.', 'MILLRACE_').MILLRACE_GATEWAY_URL ?? 'http://127.0.0.1:8080'
  return {
    build: {
      target: 'es2023',
      assetsInlineLimit: 0,
      modulePreload: false,
      reportCompressedSize: false,
    },
    server: {
      host: '127.0.0.1',
      port: 5173,
      proxy: { '/api': gatewayUrl, '/stats': gatewayUrl },
    },
  }
})
