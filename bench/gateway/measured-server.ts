import { CpuProfile } from '../streams/cpu-profile.ts'

// Runs a server, given as a module's address, in a process that measures itself: at every SIGUSR2 it tells the CPU that it has used so far, with all
// of its threads. The first and the second of these are the ends of a measurement, and of its profile, when a file is named for one.

const [server = '', profileFile] = process.argv.slice(2)
const profile = profileFile === undefined ? undefined : new CpuProfile()
let asked = 0

process.on('SIGUSR2', () => {
  void answer(++asked)
})
await import(server)

async function answer(number: number): Promise<void> {
  if (number % 2 === 0 && profileFile !== undefined) await profile?.writeTo(profileFile)
  const { user, system } = process.cpuUsage()
  process.stdout.write(`${JSON.stringify({ event: `cpu ${number}`, cpuMicros: user + system })}\n`)
  if (number % 2 === 1) await profile?.start()
}
