import { hash } from 'node:crypto'
import { GatewayError } from '../errors.ts'

/** The strong entity tag (RFC 9110, 8.8.3) of an answer: 128 bits of its hash. */
export function entityTagOf(text: string): string {
  return `"${hash('sha256', text, 'base64url').slice(0, 22)}"`
}

/** The entity tag of something that counts its versions. */
export function versionTag(version: number): string {
  return `"${version}"`
}

/** Whether the client has this already, by its `If-None-Match`. */
export function isKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false
  return tagsIn(ifNoneMatch).some((given) => given === '*' || given === tag || given === `W/${tag}`)
}

/**
 * The versions that an `If-Match` names, or `any` for `*`. A tag that is not a version's is none, so nothing is changed by it. Throws `PRECONDITION_REQUIRED` when there
 * is no such header: who does not say what he has seen could undo what he has not.
 */
export function requiredVersions(ifMatch: string | undefined): readonly number[] | 'any' {
  if (ifMatch === undefined) {
    throw new GatewayError('PRECONDITION_REQUIRED', 'Send If-Match with the ETag of what you have read, or with *.')
  }
  const tags = tagsIn(ifMatch)
  if (tags.includes('*')) return 'any'
  return tags.flatMap((tag) => {
    const version = /^"([1-9]\d{0,14})"$/.exec(tag)?.[1]
    return version === undefined ? [] : [Number(version)]
  })
}

/** Our own tags hold no commas. */
function tagsIn(header: string): string[] {
  return header.split(',').map((tag) => tag.trim())
}
