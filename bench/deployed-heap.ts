/** The bounds of V8's heap that `npm start` gives to the service with this main file (deploy/local/src/limits.ts has their reasons). */
export function deployedHeap(script: string): readonly string[] {
  const youngMb = script.includes('sink-mysql') ? 16 : 4
  return ['--max-old-space-size=384', `--max-semi-space-size=${youngMb}`]
}
