import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Account, startTestApi, type TestApi } from "../support/api.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

// Shelves with books: each way in which PostgreSQL refuses a row, by the table's own mutations.
const SCHEMA = `
  create table app_public.shelves (
    id int generated always as identity primary key,
    name text not null
  );
  create table app_public.books (
    id int generated always as identity primary key,
    user_id int not null default app_public.current_user_id() references app_public.users on delete cascade,
    shelf_id int references app_public.shelves,
    locked_shelf_id int references app_public.shelves on delete restrict,
    title text not null,
    isbn text,
    pages int constraint pages_positive check (pages > 0),
    during int4range,
    constraint books_title_unique unique (user_id, title),
    constraint during_alone exclude using gist (during with &&)
  );
  create unique index books_isbn_idx on app_public.books (user_id, lower(isbn));
  create index on app_public.books (shelf_id);
  create index on app_public.books (locked_shelf_id);
  create view app_public.long_books with (security_invoker) as
    select id, title, pages from app_public.books where pages > 100 with check option;
  comment on view app_public.long_books is E'@primaryKey id';
  comment on column app_public.books.isbn is E'@name number\\nAs on its back.';
  comment on constraint pages_positive on app_public.books is 'A book has a page.';
  comment on constraint books_title_unique on app_public.books is 'There is a book of this title.';
  comment on constraint books_shelf_id_fkey on app_public.books is 'There is no such shelf.';
  alter table app_public.shelves enable row level security;
  alter table app_public.books enable row level security;
  create policy all_all on app_public.shelves to howdah_user using (true) with check (true);
  create policy all_own on app_public.books to howdah_user
    using (user_id = (select app_public.current_user_id()));
  grant select, delete, insert (name), update (name) on app_public.shelves to howdah_user;
  grant select, delete, insert (shelf_id, locked_shelf_id, title, isbn, pages, during) on app_public.books to howdah_user;
  grant select, insert (title, pages) on app_public.long_books to howdah_user;
  create function app_public.lags() returns boolean language sql volatile
    as $$ select true from pg_sleep(0.6) $$;
  create function app_public.raises(sqlstate text) returns boolean language plpgsql volatile
    as $$ begin raise exception 'secret of PostgreSQL' using errcode = sqlstate; end $$;
  grant execute on function app_public.lags(), app_public.raises(text) to howdah_user;
`;

let database: TestDatabase;
let api: TestApi;
let ann: Account;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.owner.query(SCHEMA);
  api = await startTestApi({ database, timeouts: { execution: 1000 } });
  ann = await api.signUp();
});
afterAll(() => api.stop());

const ask = (query: string) => api.graphql(query, { token: ann.token });
const shelf = async () => {
  const { data } = await ask(
    'mutation { createShelf(input: {shelf: {name: "s"}}) { shelf { id } } }',
  );
  return data.createShelf.shelf.id as number;
};
const book = (more: string) =>
  ask(`mutation { createBook(input: {book: {${more}}}) { book { id } } }`);
const deleteShelf = (id: number) =>
  ask(`mutation { deleteShelf(input: {id: ${id}}) { clientMutationId } }`);

describe("a row that PostgreSQL refuses", () => {
  it.each<[string, string, string, object]>([
    [
      "a check",
      'title: "a", pages: 0',
      "A book has a page.",
      { code: "BAD_USER_INPUT", field: "pages" },
    ],
    [
      "a foreign key",
      'title: "b", shelfId: -1',
      "There is no such shelf.",
      { code: "BAD_USER_INPUT", field: "shelfId" },
    ],
    [
      "a unique constraint, whose owner is not for them to give",
      'title: "taken"',
      "There is a book of this title.",
      { code: "CONFLICT", field: "title" },
    ],
    [
      "a unique index of an expression, over a column of another name",
      'title: "c", number: "x-1"',
      "It exists already.",
      { code: "CONFLICT", field: "number" },
    ],
    [
      "an exclusion",
      'title: "d", during: {start: {value: 1, inclusive: true}}',
      "It conflicts with something that exists.",
      { code: "CONFLICT", field: "during" },
    ],
  ])(
    "by %s is answered with its field by the name that it has in GraphQL",
    async (_what, row, message, extensions) => {
      await book('title: "taken", number: "X-1", during: {start: {value: 1, inclusive: true}}');
      expect((await book(row)).errors).toMatchObject([{ message, extensions }]);
    },
  );

  it.each(["shelfId", "lockedShelfId"])(
    "because something refers to it, by %s, is a CONFLICT",
    async (column) => {
      const id = await shelf();
      await book(`title: "on ${column}", ${column}: ${id}`);
      expect((await deleteShelf(id)).errors).toMatchObject([
        { message: "Something else still refers to it.", extensions: { code: "CONFLICT" } },
      ]);
      expect((await deleteShelf(await shelf())).errors).toEqual([]);
    },
  );

  it("by the check option of a view is BAD_USER_INPUT", async () => {
    const { errors } = await ask(
      'mutation { createLongBook(input: {longBook: {title: "short", pages: 3}}) { clientMutationId } }',
    );
    expect(errors).toMatchObject([{ extensions: { code: "BAD_USER_INPUT" } }]);
  });
});

describe("what takes too long is TOO_COMPLEX, and says the limit", () => {
  it("for a statement: the role has a limit", async () => {
    const { rows } = await database.owner.query(
      "select setconfig as limits from pg_db_role_setting where setrole = 'howdah_authenticator'::regrole and setdatabase = 0",
    );
    expect(rows[0].limits).toEqual([
      "statement_timeout=10s",
      "lock_timeout=5s",
      "idle_in_transaction_session_timeout=10s",
    ]);
    const { errors } = await ask('mutation { raises(input: {sqlstate: "57014"}) { result } }');
    expect(errors).toMatchObject([
      {
        message: expect.stringContaining("statement_timeout"),
        extensions: { code: "TOO_COMPLEX" },
      },
    ]);
  });

  it("for the execution of an operation", async () => {
    const { errors } = await ask(
      "mutation { a: lags(input: {}) { result } b: lags(input: {}) { result } }",
    );
    expect(errors.length).toBeGreaterThan(0);
    for (const { message, extensions } of errors) {
      expect(extensions.code).toBe("TOO_COMPLEX");
      expect(message).toBe("A request may take 1 s to execute; this one takes longer.");
    }
  });

  it("for the plan of an operation", async () => {
    const hasty = await startTestApi({ database, timeouts: { planning: 1 } });
    const fields = Array.from({ length: 40 }, (_, n) => `x${n}: books { nodes { id title } }`);
    const { status, errors } = await hasty.graphql(`{ ${fields.join(" ")} }`);
    await hasty.stop();
    expect(status).toBe(400);
    expect(errors).toMatchObject([
      {
        message: "A request may take 0.001 s to plan; this one takes longer.",
        extensions: { code: "TOO_COMPLEX" },
      },
    ]);
  });
});

describe("an error of PostgreSQL itself", () => {
  it.each([
    ["58030", "UNAVAILABLE"],
    ["25006", "UNAVAILABLE"],
    ["25P04", "TOO_COMPLEX"],
    ["28000", "UNAVAILABLE"],
    ["53100", "UNAVAILABLE"],
    ["40001", "CONFLICT"],
    ["22012", "BAD_USER_INPUT"],
    ["XX000", "INTERNAL"],
    ["P0001", "INTERNAL"],
  ])("%s is %s, without a word of it", async (sqlstate, code) => {
    const { errors } = await ask(
      `mutation { raises(input: {sqlstate: "${sqlstate}"}) { result } }`,
    );
    expect(errors).toMatchObject([{ extensions: { code } }]);
    expect(JSON.stringify(errors)).not.toContain("secret");
  });
});
