import pg from "pg";
import type { PgClientQuery } from "postgraphile/@dataplan/pg";

/** A statement that is prepared on the connection already. */
export interface PreparedStatement {
  name: string;
  values: unknown[];
}

/** What of pg's connection is used here: the messages of the extended query protocol. */
interface Connection {
  parsedStatements: Record<string, string | undefined>;
  bind(message: { statement: string; values: unknown[] }): void;
  execute(message: object): void;
}

/** pg's own query, of which its types say less than there is. */
const Query = pg.Query as unknown as new (
  config: object,
) => {
  callback?: (error: Error | null, result: pg.QueryResult) => void;
  prepare(connection: Connection): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
};

/**
 * Two statements up to one Sync: the settings of a request, whose rows nobody wants, and what it asks. To
 * PostgreSQL that is one transaction, without the cost of `begin` and `commit`: settings that are local to it
 * hold for the second, and if the first fails the second is not run.
 */
class RequestQuery extends Query {
  readonly #settings: PreparedStatement;
  #isIdentified = false;

  constructor(settings: PreparedStatement, config: object) {
    super(config);
    this.#settings = settings;
  }

  override prepare(connection: Connection): void {
    connection.bind({ statement: this.#settings.name, values: this.#settings.values });
    connection.execute({});
    super.prepare(connection);
  }

  override handleDataRow(message: unknown): void {
    if (this.#isIdentified) super.handleDataRow(message);
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    if (this.#isIdentified) super.handleCommandComplete(message, connection);
    this.#isIdentified = true;
  }
}

/** Whether this connection knows the statement; one that does not has to prepare it first. */
export function isPrepared(client: pg.ClientBase, { name }: PreparedStatement): boolean {
  const { connection } = client as unknown as { connection: Connection };
  return connection.parsedStatements[name] !== undefined;
}

/** Runs a statement under these settings, both in one transaction of their own. */
export function queryWithSettings(
  client: pg.ClientBase,
  settings: PreparedStatement,
  { text, name, values }: PgClientQuery,
): Promise<pg.QueryResult> {
  return new Promise((resolve, reject) => {
    const query = new RequestQuery(settings, {
      text,
      values,
      rowMode: "array",
      // What has neither name nor values would go by the simple protocol.
      queryMode: "extended",
      ...(name === undefined ? {} : { name }),
    });
    query.callback = (error, result) => (error ? reject(error) : resolve(result));
    client.query(query as unknown as pg.Submittable);
  });
}
