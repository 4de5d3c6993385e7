require("./boot.cjs");
void import("./processes/start.ts").then(({ main }) => main());
