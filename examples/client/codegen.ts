/** For GraphQL Code Generator: `graphql-codegen --config codegen.ts`. */
export default {
  schema: "../../schema.graphql",
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
