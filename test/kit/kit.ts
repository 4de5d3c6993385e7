import { afterAll, beforeAll } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  type Acting,
  type ActOptions,
  type Actor,
  as,
  createOperator,
  createUser,
  type Result,
} from "./actors.ts";
import { freezeTime } from "./clock.ts";
import { expectDenied } from "./denied.ts";

/** One statement with its values, or a function that sends several in one transaction. */
interface Act {
  (text: string, values?: unknown[], options?: ActOptions): Promise<Result>;
  <T>(act: (client: Acting) => Promise<T>, options?: ActOptions): Promise<T>;
}

interface ActById {
  (id: number, text: string, values?: unknown[], options?: ActOptions): Promise<Result>;
  <T>(id: number, act: (client: Acting) => Promise<T>, options?: ActOptions): Promise<T>;
}

/** Acting on one database by actor: docs/testing.md. */
export interface Kit {
  /** Once the tests run. */
  readonly database: TestDatabase;
  asUser: ActById;
  asOperator: ActById;
  asAnonymous: Act;
  /** The owner, who sees everything: for set-up and for a look afterwards. It is kept. */
  asOwner(text: string, values?: unknown[]): Promise<Result>;
  createUser(email?: string): Promise<number>;
  createOperator(): Promise<number>;
  expectDenied: typeof expectDenied;
  /** SQL's clock in this database, and this process's: see clock.ts. */
  freezeTime(at: Date | string): Promise<void>;
}

/** The kit on a database of this test file's own; to be called at its top. */
export function useKit(): Kit {
  let database: TestDatabase | undefined;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database?.drop());
  return createKit(() => {
    if (!database) throw new Error("The kit has its database once the tests run.");
    return database;
  });
}

/** The kit on a database that is there for other reasons. */
export function createKit(database: () => TestDatabase): Kit {
  const actBy =
    (actor: Actor): Act =>
    (act: unknown, ...more: unknown[]) => {
      if (typeof act === "string") {
        const [values, options] = more as [unknown[]?, ActOptions?];
        return as(database(), actor, (client) => client.query(act, values), options);
      }
      return as(database(), actor, act as () => Promise<never>, more[0] as ActOptions);
    };
  return {
    get database() {
      return database();
    },
    asUser: (user: number, ...act: Parameters<Act>) => actBy({ user })(...act),
    asOperator: (operator: number, ...act: Parameters<Act>) => actBy({ operator })(...act),
    asAnonymous: actBy("anonymous"),
    asOwner: (text, values) => database().owner.query(text, values),
    createUser: (email) => createUser(database(), email),
    createOperator: () => createOperator(database()),
    expectDenied,
    freezeTime: (at) => freezeTime(database(), at),
  } as Kit;
}
