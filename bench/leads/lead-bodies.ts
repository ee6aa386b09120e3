/** Leads of one run, as the requests that carry them: each lead of a person of its own. */
export class LeadBodies {
  readonly #run: string
  #made = 0

  /** `run` tells the leads of this run from all others. */
  constructor(run: string) {
    this.#run = run
  }

  /** Leads that were made. */
  get made(): number {
    return this.#made
  }

  /** One lead: some 280 bytes of JSON. */
  one(): string {
    return lead(this.#run, this.#made++)
  }

  /** As many leads, one per line. */
  lines(count: number): Buffer {
    const lines: string[] = []
    for (let index = 0; index < count; index++) lines.push(this.one())
    return Buffer.from(lines.join('\n'))
  }
}

/** Written by hand: the load shares the machine with what is measured. */
function lead(run: string, number: number): string {
  return `{"first_name":"Ada","last_name":"Lovelace","email":"${mailbox(number)}@${run}.example","phone":"+44 20 7946 0000","city":"London","postal_code":"SW1Y 4JH","country":"GB","source":"web","campaign":"spring","consent":true,"attributes":{"plan":"pro","budget":${1_000 + (number % 9_000)}}}`
}

/** Names in no order, as people have them: neighbours in the index of addresses come at different times. */
function mailbox(number: number): string {
  return `${(Math.imul(number, 0x9e37_79b1) >>> 0).toString(36).padStart(7, '0')}.${number.toString(36)}`
}
