// biome-ignore-all assist/source/organizeImports: the exports are grouped by what they are about.

// Who may do what.
export { parseRole, parseScope, type Role, roleScopes, roles, type Scope, scopes } from './roles.ts'

// What accounts prove themselves with.
export { hashPassword, verifyPassword } from './password.ts'
export {
  apiKeyPrefix,
  formatApiKey,
  formatRefreshToken,
  hashSecret,
  makeApiKey,
  makeRefreshToken,
  type OpaqueSecret,
  parseApiKey,
  parseRefreshToken,
  secretMatches,
} from './opaque-secret.ts'
