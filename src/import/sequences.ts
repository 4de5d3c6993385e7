import type { ClientBase } from "pg";

/**
 * Lets new ids begin after all of source and target: a row that is skipped now can still come later.
 * Unlike setval(), `restart` is undone by a rollback.
 */
export async function restartIds(
  target: ClientBase,
  table: string,
  source?: string,
): Promise<void> {
  const { rows: sequences } = await target.query<{ name: string }>(
    "select pg_get_serial_sequence($1, 'id') as name",
    [table],
  );
  const name = sequences[0]?.name as string;
  const ids = [`select max(id) from ${table}`];
  if (source) ids.push(`select max(id) from ${source} where id < 2147483647`);
  const { rows } = await target.query<{ next: number }>(
    `select m.id::bigint + 1 as next
     from (select max(id) as id from (${ids.join(" union all ")}) as a(id)) m
     cross join ${name} q
     where m.id >= q.last_value + q.is_called::int`,
  );
  const [row] = rows;
  if (row) await target.query(`alter sequence ${name} restart with ${row.next}`);
}
