import "postgraphile";
import type { PgCodec, PgResource } from "postgraphile/@dataplan/pg";

/** What a key in a nodeId has to look like, by the codec of its column; of others any text may be one. */
const KEYS: Readonly<Record<string, (value: unknown) => boolean>> = {
  int2: (value) => isInteger(value, 2 ** 15),
  int4: (value) => isInteger(value, 2 ** 31),
  int8: (value) => /^-?\d{1,18}$/.test(`${value}`),
  uuid: (value) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(`${value}`),
  date: (value) => /^\d{4}-\d{2}-\d{2}$/.test(`${value}`) && !Number.isNaN(Date.parse(`${value}`)),
  timestamptz: (value) => !Number.isNaN(Date.parse(`${value}`)),
};

/**
 * A nodeId whose key cannot be one names no row, like any other that names none: it does not come to
 * PostgreSQL, which would refuse it.
 */
export const NodeIdPlugin: GraphileConfig.Plugin = {
  name: "HowdahNodeIdPlugin",
  version: "1.0.0",
  schema: {
    hooks: {
      init: {
        after: ["PgTableNodePlugin"],
        callback(_, build) {
          for (const resource of Object.values(build.pgResources as Record<string, PgResource>)) {
            const { codec, parameters, uniques } = resource;
            const key = uniques.find(({ isPrimary }) => isPrimary);
            const { attributes } = codec;
            if (!key || !attributes || parameters || codec.isAnonymous) continue;
            const handler = build.getNodeIdHandler?.(build.inflection.tableType(codec));
            if (!handler) continue;
            const columns = key.attributes.map(
              (name) => (attributes[name] as { codec: PgCodec }).codec,
            );
            const { match } = handler;
            handler.match = (decoded) =>
              match(decoded) &&
              columns.every(({ name }, i) => (KEYS[name] ?? isText)(decoded[i + 1]));
          }
          return _;
        },
      },
    },
  },
};

function isInteger(value: unknown, limit: number): boolean {
  const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
  return Number.isInteger(number) && (number as number) >= -limit && (number as number) < limit;
}

function isText(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value) && !`${value}`.includes("\0");
}
