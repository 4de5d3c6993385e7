// PostGraphile 4 with the same schema, policies and tokens. Arguments: database URL, public key (PEM), port.
const { createServer } = require("node:http");
const { createPublicKey } = require("node:crypto");
const jwt = require("jsonwebtoken");
const { PgComputedColumnsPlugin } = require("graphile-build-pg");
const { Pool } = require("pg");
const { postgraphile } = require("postgraphile");

const [databaseUrl, pem, port] = process.argv.slice(2);
const key = createPublicKey(pem);
const middleware = postgraphile(
  new Pool({ connectionString: databaseUrl, max: 20 }),
  "app_public",
  {
    graphiql: false,
    // Version 5 lets a computed column take the place of a column, which version 4 does not.
    skipPlugins: [PgComputedColumnsPlugin],
    disableQueryLog: true,
    setofFunctionsContainNulls: false,
    ignoreRBAC: false,
    dynamicJson: true,
    pgSettings(request) {
      const token = (request.headers.authorization || "").slice("Bearer ".length);
      const claims = jwt.verify(token, key, { algorithms: ["ES256"] });
      return {
        role: claims.role,
        "jwt.claims.user_id": String(claims.user_id),
        "jwt.claims.session_id": String(claims.session_id),
      };
    },
  },
);
const server = createServer((request, response) => middleware(request, response));
server.listen(Number(port), "127.0.0.1", () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}/graphql` }));
});
