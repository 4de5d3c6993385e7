require("./boot.cjs");
void import("./processes/worker.ts").then(({ main }) => main());
