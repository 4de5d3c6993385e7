/** How often at most a transaction is run that PostgreSQL rolls back in favour of others. */
const ATTEMPTS = 3;

/** SQLSTATE of a serialization failure and of a deadlock: it was not at fault, and nothing of it is left. */
const ROLLED_BACK = new Set(["40001", "40P01"]);

/**
 * Runs a transaction again where PostgreSQL chose it to give way: a migration that takes its locks in another
 * order, say, is nothing that a client should hear of.
 * @throws what the last attempt threw
 */
export async function againWhereRolledBack<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      const { code } = error as { code?: string };
      if (attempt === ATTEMPTS || !ROLLED_BACK.has(code ?? "")) throw error;
    }
  }
}
