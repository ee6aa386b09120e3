import { Type } from 'typebox'
import { exampleLeadId } from './lead-shape.ts'

/** The path of one lead. */
export const LeadParams = Type.Object({
  lead_id: Type.String({
    pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
    'x-rule': 'must be a UUID',
    examples: [exampleLeadId],
  }),
})
