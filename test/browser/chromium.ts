import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const usualPaths = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** No sandbox, since containers have none to give; nothing in the background that talks to the outside. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Cold, on a machine with twenty processes waiting. */
const startMsMax = 100_000

/** Starts the system's Chromium without a window. Throws with the way to install one when there is none. */
export function launchChromium(env: NodeJS.ProcessEnv): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath(env), args: flags, timeout: startMsMax })
}

/** Where Chromium is: MILLRACE_CHROMIUM, or the first of the usual places that has one. */
function chromiumPath(env: NodeJS.ProcessEnv): string {
  const configured = env.MILLRACE_CHROMIUM
  const candidates = configured === undefined ? usualPaths : [configured]
  const found = candidates.find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Error(
    `No Chromium at ${candidates.join(', ')}. Install it (Debian, Ubuntu: "apt-get install chromium"; macOS: "brew install --cask chromium") or set MILLRACE_CHROMIUM to the path of one.`,
  )
}
