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
        strictScalars: true,
        // As JSON has them.
        scalars: {
          BigInt: "string",
          Cursor: "string",
          Datetime: "string",
          InternetAddress: "string",
          JSON: "unknown",
          Time: "string",
        },
      },
    },
  },
};
