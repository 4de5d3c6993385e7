import { execFile } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../../src/config.ts";
import { POOL_SIZE } from "../../src/tasks/worker.ts";

const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as {
  scripts: Record<string, string>;
};
const FOLDER = "deploy/kubernetes";
/** CloudNativePG's own kinds, which npm has no schema of. */
const FOREIGN = ["postgresql.cnpg.io/v1", "kustomize.config.k8s.io/v1beta1"];

interface Container {
  name: string;
  command?: string[];
  env?: { name: string; valueFrom: { secretKeyRef: { name: string; key: string } } }[];
  envFrom: { configMapRef?: { name: string }; secretRef?: { name: string } }[];
  ports?: { name: string; containerPort: number }[];
  [probe: string]: unknown;
}
interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  // biome-ignore lint/suspicious/noExplicitAny: of many kinds
  [field: string]: any;
}

let manifests: Manifest[];
let scratch: string;
beforeAll(async () => {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith(".yaml"));
  const texts = await Promise.all(files.map((file) => readFile(join(FOLDER, file), "utf8")));
  manifests = texts.flatMap((text) =>
    parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
      if ("errors" in document && document.errors[0]) throw document.errors[0];
      return document.toJS() as Manifest;
    }),
  );
  await mkdir("node_modules/.cache", { recursive: true });
  // Where a module of node_modules can be imported.
  scratch = await mkdtemp(resolve("node_modules/.cache/kubernetes-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const ours = () => manifests.filter(({ apiVersion }) => !FOREIGN.includes(apiVersion));
const find = (kind: string, name: string) =>
  manifests.find((one) => one.kind === kind && one.metadata.name === name) as Manifest;

/** What a program that checks types says of these, each as what it says it is: a misspelt field is one too many. */
async function typeFaults(given: Manifest[]): Promise<string> {
  const lines = given.map(
    (one, index) =>
      `import type { I${one.kind} as T${index} } from "kubernetes-models/${one.apiVersion}";
export const m${index}: T${index} = ${JSON.stringify(one)};`,
  );
  const file = join(scratch, "manifests.ts");
  await writeFile(file, lines.join("\n"));
  const flags = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--skipLibCheck",
    "--ignoreConfig",
  ];
  return promisify(execFile)("node_modules/.bin/tsc", [...flags, file]).then(
    () => "",
    ({ stdout }) => stdout as string,
  );
}

const containerOf = (manifest: Manifest) => manifest.spec.template.spec.containers[0] as Container;

/** The environment that a container gets. */
function environmentOf({ env = [], envFrom }: Container): Record<string, string> {
  const from = envFrom.map(({ configMapRef, secretRef }) =>
    configMapRef
      ? find("ConfigMap", configMapRef.name).data
      : find("Secret", (secretRef as { name: string }).name).stringData,
  );
  const single = env.map(({ name, valueFrom: { secretKeyRef } }) => [
    name,
    find("Secret", secretKeyRef.name).stringData[secretKeyRef.key],
  ]);
  const all = { ...Object.assign({}, ...from), ...Object.fromEntries(single) };
  const secrets = {
    JWT_PRIVATE_KEY: generateKeyPairSync("ec", { namedCurve: "P-256" })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString(),
    CREDENTIALS_KEY: randomBytes(32).toString("base64"),
  };
  for (const [name, value] of Object.entries(secrets)) if (name in all) all[name] = value;
  return all;
}

describe("the manifests for Kubernetes", () => {
  it("are what Kubernetes takes, field by field", async () => {
    expect(ours().length).toBeGreaterThan(10);
    expect(await typeFaults(ours())).toBe("");
    const misspelt = structuredClone(find("Deployment", "howdah-api"));
    misspelt.spec.template.spec.containers[0].livenesProbe = {};
    expect(await typeFaults([misspelt])).toContain("livenesProbe");
  }, 60_000);

  it("have values that its schemas take", async () => {
    for (const manifest of ours()) {
      const module = await import(`kubernetes-models/${manifest.apiVersion}`);
      const model = new module[manifest.kind](manifest);
      expect(() => model.validate(), manifest.metadata.name).not.toThrow();
    }
  });

  it.each([
    ["api", "Deployment", "howdah-api"],
    ["worker", "Deployment", "howdah-worker"],
    ["migrate", "Job", "howdah-migrate"],
  ] as const)(
    "give %s all settings that production insists on, and none that there is not",
    async (process, kind, name) => {
      const environment = environmentOf(containerOf(find(kind, name)));
      const { api, worker } = loadConfig(process, environment);
      expect([api.host, worker.host]).toEqual(["0.0.0.0", "0.0.0.0"]);
      const documented = await readFile("docs/operating.md", "utf8");
      for (const setting of Object.keys(environment))
        expect(documented).toContain(`\`${setting}\``);
    },
  );

  it.each([
    ["howdah-api", "api"],
    ["howdah-worker", "worker"],
  ] as const)(
    "%s is started as npm does it, and probed where it answers",
    async (name, process) => {
      const manifest = find("Deployment", name);
      const container = containerOf(manifest);
      const config = loadConfig(process, environmentOf(container));
      const dockerfile = await readFile("Dockerfile", "utf8");
      const command =
        container.command ?? JSON.parse(/CMD (\[.*\])/.exec(dockerfile)?.[1] as string);
      expect(command.join(" ")).toBe(scripts[process]?.replace("exec ", ""));
      const ports = Object.fromEntries(
        (container.ports ?? []).map(({ name: port, containerPort }) => [port, containerPort]),
      );
      expect(ports).toEqual(
        process === "api"
          ? { http: config.api.port, ops: config.api.opsPort }
          : { ops: config.worker.opsPort },
      );
      const paths = ["startupProbe", "livenessProbe", "readinessProbe"].map((probe) => {
        const { path, port } = (container[probe] as { httpGet: { path: string; port: string } })
          .httpGet;
        return `${port}${path}`;
      });
      expect(paths).toEqual(["ops/live", "ops/live", "ops/ready"]);
      // A drain has its time before it is killed.
      const { lifecycle } = container as {
        lifecycle?: { preStop: { sleep: { seconds: number } } };
      };
      expect(manifest.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
        config.shutdownSeconds + (lifecycle?.preStop.sleep.seconds ?? 0),
      );
    },
  );

  it("choose pods that there are", () => {
    const pods = manifests
      .filter(({ kind }) => kind === "Deployment")
      .map(({ spec }) => spec.template.metadata.labels);
    const selectors = manifests
      .filter(({ kind }) => ["Deployment", "Service", "PodDisruptionBudget"].includes(kind))
      .map(({ spec }) => spec.selector.matchLabels ?? spec.selector);
    expect(selectors).toHaveLength(5);
    for (const selector of selectors) expect(pods).toContainEqual(selector);
    for (const { spec } of manifests.filter(({ kind }) => kind === "HorizontalPodAutoscaler")) {
      expect(find(spec.scaleTargetRef.kind, spec.scaleTargetRef.name)).toBeDefined();
    }
  });

  it("name services of the database's own", () => {
    const cluster = manifests.find(({ kind }) => kind === "Cluster") as Manifest;
    const pooler = manifests.find(({ kind }) => kind === "Pooler") as Manifest;
    expect(pooler.spec.cluster.name).toBe(cluster.metadata.name);
    const { name } = cluster.metadata;
    const hosts = [`${name}-rw`, `${name}-ro`, pooler.metadata.name];
    const urls = manifests
      .filter(({ kind }) => kind === "Secret")
      .flatMap(({ stringData }) => Object.values(stringData as Record<string, string>))
      .filter((value) => value.startsWith("postgres:"));
    expect(urls).toHaveLength(4);
    for (const url of urls) expect(hosts).toContain(new URL(url).hostname);
    expect(find("Secret", cluster.spec.bootstrap.initdb.secret.name).stringData.username).toBe(
      cluster.spec.bootstrap.initdb.owner,
    );
  });

  it("ask for no more connections than PostgreSQL has, with as many pods as they may become", () => {
    const cluster = find("Cluster", "howdah-db").spec.postgresql.parameters;
    const pooler = find("Pooler", "howdah-db-pooler").spec;
    const most = (name: string) => find("HorizontalPodAutoscaler", name).spec.maxReplicas;
    // A worker's pool, its health check, and its LISTEN; of an API its LISTEN, the rest is the pooler's.
    const asked =
      most("howdah-worker") * (POOL_SIZE + 2) +
      pooler.instances * Number(pooler.pgbouncer.parameters.default_pool_size) +
      most("howdah-api");
    expect(asked).toBeLessThan(Number(cluster.max_connections) - 30);
  });

  it("scale workers by a metric that workers tell", async () => {
    const { metric } = find("HorizontalPodAutoscaler", "howdah-worker").spec.metrics[0].external;
    expect(await readFile("src/metrics/queue-metrics.ts", "utf8")).toContain(`"${metric.name}"`);
  });
});
