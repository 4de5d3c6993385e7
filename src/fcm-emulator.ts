require("./boot.cjs");
void import("./processes/fcm-emulator.ts").then(({ main }) => main());
