import type { Lead } from '@millrace/schemas'
import { createLeadTreeStore, openMysql } from '@millrace/storage/mysql'
import { LeafSource, type PlainLead, readLeadKey, sealLead } from '@millrace/storage/sealing'
import { FaultError } from '../fault-error.ts'

/** Seals leads as a gateway does, with keys of a tree that is put into MySQL once. */
export async function openSealing(variables: Readonly<Record<string, string>>): Promise<(lead: PlainLead) => Lead> {
  const {
    MILLRACE_MYSQL_HOST: host = '127.0.0.1',
    MILLRACE_MYSQL_PORT,
    MILLRACE_MYSQL_USER: user = '',
    ...rest
  } = variables
  const { MILLRACE_MYSQL_PASSWORD: password = '', MILLRACE_MYSQL_DATABASE: database = '' } = rest
  const leadKey = readLeadKey(rest.MILLRACE_LEAD_KEY ?? '')
  const mysql = openMysql({ host, port: Number(MILLRACE_MYSQL_PORT), user, password, database })
  const leaves = new LeafSource(createLeadTreeStore(mysql, leadKey), leadKey)
  try {
    await leaves.hold(1)
  } finally {
    await mysql.close()
  }
  return (lead) => {
    const key = leaves.take()
    if (key === undefined) throw new FaultError('the tree has no keys left: a run sends less than 16 million leads')
    return sealLead(lead, leadKey, key)
  }
}
