/**
 * Owns: the interface of Standard Schema (https://standardschema.dev, version 1), which zod, valibot, arktype and
 * others implement. Only types: no validator is a dependency.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What a caller passes in: before the schema applies its defaults and conversions. */
export type InputOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : never
/** What the schema makes of it. */
export type OutputOf<Schema> = Schema extends StandardSchema<unknown, infer Output> ? Output : never
