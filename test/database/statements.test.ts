import { expect, it } from "vitest";
import { statementStarts, withoutComments } from "../../src/database/statements.ts";

const first = (sql: string) =>
  statementStarts(sql).map((start) => sql.slice(start).split(/[\s;(]/, 1)[0]);

it("a statement begins behind the semicolon of the one before and its comments", () => {
  expect(first("-- a; b\ncreate x; /* c; /* d; */ ; */ drop y;\n;insert z")).toEqual([
    "create",
    "drop",
    "insert",
  ]);
  expect(first("")).toEqual([]);
  expect(first("  -- nothing\n")).toEqual([]);
});

it("a semicolon in a quote, a dollar quote, brackets or an atomic body ends nothing", () => {
  const sql = `
    select 'a;''b', e'\\';', "c;""d", $$;$$, $x$ $$;$$ $x$;
    create rule r as on insert to t do also (select 1; select 2);
    create function f() returns int begin atomic
      select case when true then 1 else 2 end;
      select 2;
    end;
    commit;`;
  expect(first(sql)).toEqual(["select", "create", "create", "commit"]);
});

it("what begins with no word is a statement as well", () => {
  expect(statementStarts("(select 1); values (1)")).toEqual([0, 12]);
});

it("comments and blanks between tokens make no difference, what is quoted does", () => {
  expect(withoutComments("-- don't\n  /* it's */\n")).toBe("");
  expect(withoutComments("select  1 -- one\n;\n\n")).toBe(withoutComments("select 1\n ;"));
  const quoted = ["$$it's  a$$", "$$it's a$$", "$$it's a -- b$$", "'C:\\'", "'a  b'", '"a\nb"'];
  expect(new Set(quoted.map(withoutComments))).toEqual(new Set(quoted));
  expect(withoutComments("a/**/b")).not.toBe(withoutComments("ab"));
});

it("a comment ends with its line, whichever character ends that: PostgreSQL runs what follows", () => {
  expect(first("-- one\rselect 1;\r\n-- two\r\ndrop x")).toEqual(["select", "drop"]);
  expect(withoutComments("-- one\rselect 1")).toBe("select 1");
});

it("a long text takes no longer than its length asks for", () => {
  const sql = "insert into t (id, body) values (1, 'a  b'); -- one\n".repeat(10_000);
  const began = performance.now();
  expect(withoutComments(sql)).toHaveLength(10_000 * 45 - 1);
  expect(statementStarts(sql)).toHaveLength(10_000);
  expect(performance.now() - began).toBeLessThan(10_000);
});
