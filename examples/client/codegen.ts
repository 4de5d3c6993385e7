/**
 * For GraphQL Code Generator, in the folder that this was copied to, with schema.graphql beside it:
 * `npx graphql-codegen --config codegen.ts`, once @graphql-codegen/cli is installed (docs/clients.md).
 */
export default {
  // Or an API that runs: http://localhost:5678/graphql.
  schema: "schema.graphql",
  documents: "operations.graphql",
  generates: {
    "generated.ts": {
      plugins: ["typescript-operations", "typed-document-node"],
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        // As JSON has them; what is not here, such as a domain of yours, is unknown until it is.
        scalars: {
          BigFloat: "string",
          BigInt: "string",
          Cursor: "string",
          Date: "string",
          Datetime: "string",
          InternetAddress: "string",
          Time: "string",
          UUID: "string",
        },
        defaultScalarType: "unknown",
      },
    },
  },
};
