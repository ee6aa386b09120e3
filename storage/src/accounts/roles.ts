/** What a caller may be allowed to do. Every route names one of these, or says that it is open. */
export const scopes = [
  'events:write',
  'events:read',
  'stats:read',
  'leads:write',
  'leads:read',
  'leads:erase',
  'leads:export',
  'lead-fields:read',
  'lead-fields:write',
  'api-keys:read',
  'api-keys:write',
  'ops:read',
  'ops:write',
] as const
export type Scope = (typeof scopes)[number]

export const roles = ['admin', 'user', 'analyst', 'producer'] as const
export type Role = (typeof roles)[number]

/** Admins may do everything; users hand in leads and see none; analysts read; producers write events. */
const scopesOf: Readonly<Record<Role, readonly Scope[]>> = {
  admin: scopes,
  user: ['leads:write'],
  analyst: ['events:read', 'stats:read'],
  producer: ['events:write'],
}

/** The scopes of a role. */
export function roleScopes(role: Role): readonly Scope[] {
  return scopesOf[role]
}

/** The role of that name; undefined when there is none. */
export function parseRole(name: unknown): Role | undefined {
  return roles.find((role) => role === name)
}

/** The scope of that name; undefined when there is none. */
export function parseScope(name: unknown): Scope | undefined {
  return scopes.find((scope) => scope === name)
}
