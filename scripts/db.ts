require("../src/boot.cjs");
void import("./db/main.ts").then(({ main }) => main());
