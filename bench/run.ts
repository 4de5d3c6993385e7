require("../src/boot.cjs");
void import("./support/command.ts").then(({ main }) => main());
