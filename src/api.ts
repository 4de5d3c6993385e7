require("./boot.cjs");
void import("./processes/api.ts").then(({ main }) => main());
