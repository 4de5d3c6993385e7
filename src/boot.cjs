// Plain CommonJS: the one file that a Node.js too old for TypeScript must still be able to run.
const REQUIRED_MAJOR = 24;

if (Number(process.versions.node.split(".")[0]) < REQUIRED_MAJOR) {
  console.error(
    `Howdah needs Node.js ${REQUIRED_MAJOR}, this is ${process.versions.node}: run \`npm ci\`, then start it by its npm script (npm start, npm run api, …), which finds Node.js ${REQUIRED_MAJOR} in node_modules.`,
  );
  process.exit(1);
}

// What is loaded is compiled once, not at each start, nor by the processes that this one starts. Who may
// write there may change the code itself; where nobody may, in a container say, Node.js goes on without.
process.env.NODE_COMPILE_CACHE ??= require("node:path").join(
  __dirname,
  "../node_modules/.cache/howdah",
);
require("node:module").enableCompileCache(process.env.NODE_COMPILE_CACHE);

// How long an operation is refused that once took too long to plan, milliseconds: the next may find the machine less busy.
process.env.GRAFAST_TIMEOUT_VALIDITY_MS ??= "1000";

// PostGraphile asks for it, and warns on stderr where it is missing.
process.env.GRAPHILE_ENV ??= "production";
