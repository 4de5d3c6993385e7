require("../src/boot.cjs");
void import("./tool.ts").then(({ main }) => main());
