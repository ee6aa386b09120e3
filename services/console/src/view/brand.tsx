import type { VNode } from 'preact'

/** The mark and the name. */
export function Brand(): VNode {
  return (
    <span class="brand">
      <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="7" />
        <path d="M5 12c3.7-3.4 7.3-3.4 11 0s7.3 3.4 11 0M5 20c3.7-3.4 7.3-3.4 11 0s7.3 3.4 11 0" />
      </svg>
      Millrace
    </span>
  )
}
