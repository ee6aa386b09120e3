/** A JSON schema of the document, or a reference to one. */
export type ApiSchema = Record<string, unknown>

/** A pointer to something that several operations share. */
export interface ApiReference {
  readonly $ref: string
}

/** A value as somebody may send or get it. */
export interface ApiExample {
  summary?: string
  value: unknown
}

/** A body in one media type. */
export interface ApiMedia {
  schema?: ApiSchema
  example?: unknown
  examples?: Record<string, ApiExample | ApiReference>
}

/** A header of an answer. */
export interface ApiHeader {
  description: string
  required?: boolean
  schema: ApiSchema
  example?: unknown
}

/** What is answered with one status. */
export interface ApiResponse {
  description: string
  headers?: Record<string, ApiHeader | ApiReference>
  content?: Record<string, ApiMedia>
  links?: Record<string, unknown>
}

/** A parameter of an operation. */
export interface ApiParameter {
  name: string
  in: 'query' | 'path' | 'header'
  required?: boolean
  description?: string
  schema: ApiSchema
  example?: unknown
  examples?: Record<string, ApiExample>
}

/** One method of one path. */
export interface ApiOperation {
  operationId?: string
  tags?: string[]
  summary?: string
  description?: string
  parameters?: ApiParameter[]
  requestBody?: { required: boolean; description?: string; content: Record<string, ApiMedia> }
  responses: Record<string, ApiResponse>
  security?: Record<string, string[]>[]
}

/** The API's document, OpenAPI 3.1: what of it the gateway writes. */
export interface ApiDocument {
  openapi: string
  info: { title: string; version: string; description: string }
  servers: { url: string }[]
  tags: { name: string; description: string }[]
  paths: Record<string, Record<string, ApiOperation>>
  components: {
    schemas: Record<string, ApiSchema>
    headers: Record<string, ApiHeader>
    examples: Record<string, ApiExample>
    securitySchemes: Record<string, unknown>
  }
  security: Record<string, string[]>[]
}
