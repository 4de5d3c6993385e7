import { verify } from "@node-rs/argon2";

// The ceiling of log-ins: verifies one hash over and over, and does nothing else.
// Arguments: seconds, how many at once, password, hash. Prints verifications per
// second and what one costs, milliseconds of CPU.

const [seconds, concurrency, password, hash] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
];
await verify(hash, password);

const began = performance.now();
const cpuBefore = process.cpuUsage();
const end = began + Number(seconds) * 1000;
let count = 0;
await Promise.all(
  Array.from({ length: Number(concurrency) }, async () => {
    while (performance.now() < end) {
      if (!(await verify(hash, password))) throw new Error("The password does not match.");
      count += 1;
    }
  }),
);
const perSecond = count / ((performance.now() - began) / 1000);
const { user, system } = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ perSecond, cpu: (user + system) / 1000 / count }));
