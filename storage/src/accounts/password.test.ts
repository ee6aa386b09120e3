import { expect, it } from 'vitest'
import { hashPassword, verifyPassword } from './password.ts'

const hash = await hashPassword('password')

it('hashes with Argon2id and a salt, and knows the password again', async () => {
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(await hashPassword('password')).not.toBe(hash)
  expect(await verifyPassword('password', hash)).toBe(true)
  expect(await verifyPassword('Password', hash)).toBe(false)
  expect(await verifyPassword('', hash)).toBe(false)
})

it('takes a password in every Unicode form', async () => {
  expect(await verifyPassword('caf\u0065\u0301', await hashPassword('caf\u00e9'))).toBe(true)
})

it.each(['', 'plain', '$2b$10$abc', hash.replace('m=19456', 'm=9999999'), hash.replace('argon2id', 'argon2i')])(
  'does not compare with the hash %j',
  async (stored) => {
    await expect(verifyPassword('x', stored)).rejects.toThrow('not an Argon2id hash')
  },
)
