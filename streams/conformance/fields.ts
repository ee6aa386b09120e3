import { CaseError } from './case-error.ts'
import { isArray, isObject, type Json, type JsonObject, memberOf } from './json.ts'

/** The members of an object of a case file, read with checks. Each method throws a `CaseError` that says where and what is wrong. */
export class Fields {
  /** What the object is, for messages. */
  readonly where: string
  readonly #object: JsonObject

  constructor(json: Json, where: string) {
    if (!isObject(json)) throw new CaseError(`${where} must be an object`)
    this.#object = json
    this.where = where
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name)
  }

  get names(): readonly string[] {
    return Object.keys(this.#object)
  }

  /** Whatever it is; null when it is not there. */
  json(name: string): Json {
    return memberOf(this.#object, name)
  }

  text(name: string): string {
    const value = this.json(name)
    if (typeof value !== 'string') throw this.#wrong(name, 'a text')
    return value
  }

  optionalText(name: string): string | undefined {
    return this.has(name) ? this.text(name) : undefined
  }

  textOrNull(name: string): string | null {
    return this.json(name) === null ? null : this.text(name)
  }

  number(name: string): number {
    const value = this.json(name)
    if (typeof value !== 'number') throw this.#wrong(name, 'a number')
    return value
  }

  optionalNumber(name: string): number | undefined {
    return this.has(name) ? this.number(name) : undefined
  }

  list(name: string): readonly Json[] {
    const value = this.json(name)
    if (!isArray(value)) throw this.#wrong(name, 'an array')
    return value
  }

  texts(name: string): readonly string[] {
    return this.list(name).map((item) => {
      if (typeof item !== 'string') throw this.#wrong(name, 'an array of texts')
      return item
    })
  }

  object(name: string): JsonObject {
    const value = this.json(name)
    if (!isObject(value)) throw this.#wrong(name, 'an object')
    return value
  }

  /** The objects of an array, each with its place for messages. */
  objects(name: string): readonly Fields[] {
    return this.list(name).map((item, i) => new Fields(item, `${this.where}: ${name}[${i}]`))
  }

  fields(name: string): Fields {
    return new Fields(this.object(name), `${this.where}: ${name}`)
  }

  #wrong(name: string, expected: string): CaseError {
    return new CaseError(`${this.where}: "${name}" must be ${expected}, not ${JSON.stringify(this.json(name))}`)
  }
}
