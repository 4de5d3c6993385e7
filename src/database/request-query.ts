import type { Socket } from "node:net";
import pg from "pg";

/** What runs in one transaction of its own: text and values, and the name by which a connection keeps it prepared. */
export interface Statement {
  text: string;
  name?: string | undefined;
  values?: readonly unknown[] | undefined;
  /** Rows as arrays, not as objects. */
  arrayMode?: boolean | undefined;
}

/** What became of a statement; undefined where it was not run, because one before it had failed. */
export type Outcome = { result: pg.QueryResult } | { error: unknown } | undefined;

/** What of pg's connection is used here: the messages of the extended query protocol. */
interface Connection {
  stream: Socket;
  submittedNamedStatements: Record<string, string | undefined>;
  parse(message: { name: string | undefined; text: string }): void;
  bind(message: { statement: string | undefined; values: readonly unknown[] }): void;
  execute(message: object): void;
  sync(): void;
}

type Callback = (error: unknown, outcomes?: Outcome[]) => void;

/** pg's own query, of which its types say less than there is. Of what is no text it makes a copy, which costs more. */
const Query = pg.Query as unknown as new (
  text: string,
  values?: readonly unknown[],
) => {
  queryMode: "extended" | undefined;
  get name(): string | undefined;
  set name(name: string | undefined);
  get text(): string;
  set text(text: string);
  callback?: Callback;
  _result: pg.QueryResult & { _types: unknown };
  _canceledDueToError: unknown;
  hasBeenParsed(connection: Connection): boolean;
  prepare(connection: Connection): void;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  handleError(error: unknown, connection: Connection): void;
};

const { Result } = pg as unknown as {
  Result: new (rowMode: "array") => InstanceType<typeof Query>["_result"];
};

/** One statement of several up to one Sync. */
class Part extends Query {
  constructor({ text, name, values, arrayMode }: Statement) {
    super(text, values);
    this.name = name;
    // What has neither name nor values would go by the simple protocol.
    this.queryMode = "extended";
    if (arrayMode) this._result = new Result("array");
  }

  /** pg would send a Sync after each. */
  protected _getRows(connection: Connection): void {
    connection.execute({});
  }

  /** Called by pg where it cannot write a value: half a message may have been sent. */
  override handleError(error: unknown, { stream }: Connection): void {
    stream.destroy(error as Error);
  }
}

/** The settings of a request, whose rows nobody wants. */
class Settings extends Part {
  readonly #values: readonly unknown[];

  constructor(statement: Statement) {
    super(statement);
    this.#values = statement.values ?? [];
  }

  override prepare(connection: Connection): void {
    const { name, text } = this;
    if (!this.hasBeenParsed(connection)) {
      connection.parse({ name, text });
      if (name !== undefined) connection.submittedNamedStatements[name] = text;
    }
    connection.bind({ statement: name, values: this.#values });
    connection.execute({});
  }

  override handleDataRow(): void {}
}

/**
 * The settings of a request and what it asks, up to one Sync: to PostgreSQL that is one transaction, without the
 * cost of `begin` and `commit`. Settings that are local to it hold for all that follows, and if one fails,
 * those after it are not run. To pg it is one query.
 */
class RequestQuery extends Query {
  readonly #parts: Part[];
  #position = 0;

  constructor(settings: Statement, statements: readonly Statement[], callback: Callback) {
    super(settings.text);
    // By this name, because pg wraps it where the URL has a query_timeout.
    this.callback = callback;
    this.queryMode = "extended";
    this.#parts = [new Settings(settings), ...statements.map((statement) => new Part(statement))];
  }

  /** pg asks for these where a ParseComplete comes: it is that of the part whose turn it is. */
  override get name(): string | undefined {
    return this.#current.name;
  }
  override set name(_name) {}
  override get text(): string {
    return this.#current.text;
  }
  override set text(_text) {}

  get #current(): Part {
    return this.#parts[Math.min(this.#position, this.#parts.length - 1)] as Part;
  }

  override prepare(connection: Connection): void {
    for (const part of this.#parts) {
      part._result._types = this._result._types;
      part.prepare(connection);
    }
    connection.sync();
  }

  override handleRowDescription(message: unknown): void {
    this.#current.handleRowDescription(message);
  }

  override handleDataRow(message: unknown): void {
    this.#current.handleDataRow(message);
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    this.#current.handleCommandComplete(message, connection);
    this.#position += 1;
  }

  handleEmptyQuery(): void {
    this.#position += 1;
  }

  handleReadyForQuery(): void {
    this.callback?.(null, this.#outcomes());
  }

  override handleError(error: unknown, { submittedNamedStatements }: Connection): void {
    // PostgreSQL has skipped them: they are not prepared.
    for (const { name } of this.#parts.slice(this.#position)) {
      if (name !== undefined) delete submittedNamedStatements[name];
    }
    this.callback?.(null, this.#outcomes({ error }));
  }

  #outcomes(failure?: { error: unknown }): Outcome[] {
    // One that comes after all of them is the transaction's; one of the settings', and of the connection, is everybody's.
    const { length } = this.#parts;
    const isOfOne =
      this.#position > 0 && this.#position < length && failure?.error instanceof pg.DatabaseError;
    return this.#parts.slice(1).map(({ _result: result, _canceledDueToError: unread }, index) => {
      const position = index + 1;
      if (failure && !isOfOne && (position >= this.#position || this.#position === length)) {
        return failure;
      }
      if (position === this.#position) return failure;
      if (position > this.#position) return undefined;
      return unread ? { error: unread } : { result };
    });
  }
}

/** Runs statements under these settings, all in one transaction of their own. */
export function queryWithSettings(
  client: pg.ClientBase,
  settings: Statement,
  statements: readonly Statement[],
): Promise<Outcome[]> {
  return new Promise((resolve) => {
    const callback: Callback = (_error, outcomes = []) => resolve(outcomes);
    const query = new RequestQuery(settings, statements, callback);
    client.query(query as unknown as pg.Submittable);
  });
}
