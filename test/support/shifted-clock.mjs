import { readFileSync } from "node:fs";

// For `node --import`: a process whose system clock is wrong by as many milliseconds as the file says that
// SHIFTED_CLOCK names, and that is put right while it runs. Timers go by another clock, as they do in such a case.

const file = process.env.SHIFTED_CLOCK;
let shift = 0;
const read = () => {
  shift = Number(readFileSync(file, "utf8"));
};
read();
setInterval(read, 50).unref();

const RealDate = globalThis.Date;
globalThis.Date = class ShiftedDate extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [RealDate.now() + shift] : args));
  }
  static now() {
    return RealDate.now() + shift;
  }
};
