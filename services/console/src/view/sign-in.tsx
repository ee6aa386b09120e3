import type { VNode } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ConsoleError } from '../gateway/console-error.ts'
import type { Credentials } from '../gateway/gateway-client.ts'
import { Brand } from './brand.tsx'

/** What the sign-in form needs. */
export interface SignInProps {
  /** Why the person is here again, or null. */
  readonly notice: string | null
  /** Who was signed in before, or empty. */
  readonly username: string
  /** Signs in; its failure is shown in the form. */
  readonly onSubmit: (credentials: Credentials) => Promise<void>
}

/** Name and password, and what went wrong with them. */
export function SignIn({ notice, username, onSubmit }: SignInProps): VNode {
  const [error, setError] = useState<ConsoleError | null>(null)
  const [busy, setBusy] = useState(false)
  const nameField = useRef<HTMLInputElement>(null)
  const passwordField = useRef<HTMLInputElement>(null)

  // `autofocus` works for the first page only, not for a form that comes later.
  useEffect(() => {
    const field = username === '' ? nameField : passwordField
    field.current?.focus()
  }, [username])

  async function submit(form: HTMLFormElement): Promise<void> {
    const fields = new FormData(form)
    setBusy(true)
    setError(null)
    try {
      await onSubmit({ username: String(fields.get('username')), password: String(fields.get('password')) })
    } catch (reason) {
      setError(ConsoleError.from(reason))
      setBusy(false)
    }
  }

  return (
    <main class="sign-in">
      <Brand />
      <form
        class="card sign-in-form"
        onSubmit={(event) => {
          event.preventDefault()
          void submit(event.currentTarget)
        }}
      >
        <h1>Sign in</h1>
        {notice !== null && error === null && <p role="status">{notice}</p>}
        <label>
          User name
          <input
            ref={nameField}
            name="username"
            defaultValue={username}
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            required
          />
        </label>
        <label>
          Password
          <input name="password" type="password" autocomplete="current-password" required autofocus={username !== ''} />
        </label>
        {error !== null && (
          <p class="error-text" role="alert">
            {sentenceOf(error)}
          </p>
        )}
        <button class="button button-primary" type="submit" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </main>
  )
}

function sentenceOf(error: ConsoleError): string {
  if (error.code === 'unauthorized') return 'User name or password is not right.'
  if (error.status === 429 && error.retryAfterMs !== null) {
    return `Too many attempts. Try again in ${Math.ceil(error.retryAfterMs / 1_000)} s.`
  }
  return error.detail
}
