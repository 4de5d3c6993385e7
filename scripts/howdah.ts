require("../src/boot.cjs");
void import("./commands.ts").then(({ main }) => main());
