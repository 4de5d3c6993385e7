// Lets the entry points believe that they were started by Node.js 20.
Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.0.0" } });
