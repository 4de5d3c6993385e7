import { createPublicKey } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import jwt from "jsonwebtoken";
import pg from "pg";

// The reference: what one would write by hand for just these four requests, with node:http and pg, in
// the same transaction, under the same policies. Deliberately nothing of src/. Arguments: database
// URL, public key (PEM). Prints its URL.

const [databaseUrl, pem] = process.argv.slice(2) as [string, string];
const key = createPublicKey(pem);
const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });

interface Claims {
  role: string;
  user_id: number;
  session_id: number;
}

/** By path: the statement, and what of the body it takes. */
const STATEMENTS: Record<
  string,
  { name: string; text: string; values: (body: Body) => unknown[] }
> = {
  "/small": {
    name: "small",
    text: `select json_build_object('me', json_build_object('id', u.id, 'email', u.email)) as answer
      from app_public.users u where u.id = app_public.current_user_id()`,
    values: () => [],
  },
  "/nested": {
    name: "nested",
    text: `select json_build_object('me', json_build_object('email', u.email, 'items', json_build_object('nodes', (
        select coalesce(json_agg(json_build_object('title', i.title, 'data', i.data)), '[]') from (
          select i.title, i.data from app_public.items i where i.user_id = u.id order by i.id limit 20
        ) i
      )))) as answer
      from app_public.users u where u.id = app_public.current_user_id()`,
    values: () => [],
  },
  "/connection": {
    name: "connection",
    text: `select json_build_object('items', json_build_object(
        'totalCount', (select count(*)::int from app_public.items where title like $1),
        'nodes', (select coalesce(json_agg(json_build_object('id', i.id, 'title', i.title)), '[]') from (
          select i.id, i.title from app_public.items i where i.title like $1 order by i.id limit 10
        ) i)
      )) as answer`,
    values: ({ like }) => [like],
  },
  "/create": {
    name: "create",
    text: `with created as (insert into app_public.items (title) values ($1) returning id, title)
      select json_build_object('createItem', json_build_object('item', json_build_object('id', id, 'title', title))) as answer
      from created`,
    values: ({ title }) => [title],
  },
};

interface Body {
  like?: string;
  title?: string;
}

const server = createServer(async (request, response) => {
  try {
    const statement = STATEMENTS[request.url as string];
    if (!statement) throw new Error("There is nothing at this address.");
    const token = (request.headers.authorization ?? "").slice("Bearer ".length);
    const claims = jwt.verify(token, key, { algorithms: ["ES256"] }) as unknown as Claims;
    const values = statement.values(await bodyOf(request));
    const answer = await inTransaction(claims, { ...statement, values });
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ data: answer }));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});

async function inTransaction(claims: Claims, query: pg.QueryConfig): Promise<unknown> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query({
      name: "identity",
      text: `select app_private.verify_session($1::text::int, $2::text::int, $3), set_config('role', $3, true),
        set_config('jwt.claims.user_id', $2::text, true), set_config('jwt.claims.session_id', $1::text, true)`,
      values: [String(claims.session_id), String(claims.user_id), claims.role],
    });
    const { rows } = await client.query(query);
    await client.query("commit");
    return rows[0]?.answer;
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

async function bodyOf(request: IncomingMessage): Promise<Body> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : (JSON.parse(text) as Body);
}

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
});
