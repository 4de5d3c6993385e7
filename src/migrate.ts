require("./boot.cjs");
void import("./processes/migrate.ts").then(({ main }) => main());
