require("./boot.cjs");
void import("./development/dev.ts").then(({ main }) => main());
