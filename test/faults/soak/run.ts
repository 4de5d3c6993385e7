require("../../../src/boot.cjs");
void import("./command.ts").then(({ main }) => main());
