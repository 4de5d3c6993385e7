import type { Pool } from "pg";
import type { Logger } from "pino";
import type { GrafastExecutionArgs } from "postgraphile/grafast";
import { getOperationAST, OperationTypeNode } from "postgraphile/graphql";

/**
 * Where reads go to a replica: after a mutation, and before it is answered, its user is noted down, so that
 * whatever process they ask next shows them what they changed. The same before a subscription begins: what
 * is fetched after its first event misses nothing.
 */
export function createOwnWritesPlugin(options: {
  pool: Pool;
  logger: Logger;
}): GraphileConfig.Plugin {
  const { pool, logger } = options;

  async function note({ scope }: Grafast.Context): Promise<void> {
    const userId = scope.tokensFor ?? scope.userId;
    if (userId === undefined) return;
    try {
      await pool.query({
        name: "note_write",
        text: "select app_private.note_write($1)",
        values: [userId],
      });
    } catch (error) {
      // What was changed was changed; without the primary nothing is read from the replica either.
      logger.warn({ error: (error as Error).message }, "a change was not noted for the replica");
    }
  }

  return {
    name: "HowdahOwnWritesPlugin",
    version: "1.0.0",
    grafast: {
      middleware: {
        async execute(next, { args }) {
          const result = await next();
          if (isMutation(args)) await note(args.contextValue as Grafast.Context);
          return result as never;
        },
        async subscribe(next, { args }) {
          await note(args.contextValue as Grafast.Context);
          return (await next()) as never;
        },
      },
    },
  };
}

function isMutation({ document, operationName }: GrafastExecutionArgs): boolean {
  return getOperationAST(document, operationName)?.operation === OperationTypeNode.MUTATION;
}
