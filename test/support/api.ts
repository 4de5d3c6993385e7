import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { loadConfig } from "../../src/config.ts";
import { startApi } from "../../src/http/api-server.ts";
import type { ConsoleDevelopment } from "../../src/http/console-routes.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { learnSecrets, searchedLogger } from "./secrets.ts";

export interface GraphQLAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: shaped by the query
  data: any;
  errors: {
    message: string;
    path?: string[];
    extensions: { code: string; field?: string; errorId?: string; retryAfter?: number };
  }[];
}

export interface TestApi {
  url: string;
  opsUrl: string;
  dataDirectory: string;
  database: TestDatabase;
  graphql(query: string, options?: GraphQLOptions): Promise<GraphQLAnswer>;
  /** Signs up and returns what a client would keep. */
  signUp(email?: string, phone?: string): Promise<Account>;
  /** The same for an operator. */
  signUpOperator(email?: string): Promise<Account>;
  stop(): Promise<void>;
}

export interface GraphQLOptions {
  token?: string | undefined;
  variables?: Record<string, unknown>;
  headers?: Record<string, string>;
}

export interface Account {
  userId: number;
  email: string;
  token: string;
  refreshToken: string;
}

export const PASSWORD = "correct horse battery";

/** The whole API in this process, reached over HTTP; on a database of its own, or on one that others use. */
export async function startTestApi(
  options: {
    environment?: NodeJS.ProcessEnv;
    poolSize?: number;
    acquireTimeout?: number;
    timeouts?: { planning?: number; execution?: number; idle?: number };
    keptSteps?: number;
    logger?: Logger;
    /** As `npm start` has it. */
    development?: ConsoleDevelopment;
    /** Of another instance, which drops it in the end. */
    database?: TestDatabase;
    /** By way of a pooler. */
    authenticatorUrl?: string;
    listenUrl?: string;
  } = {},
): Promise<TestApi> {
  const database = options.database ?? (await createTestDatabase());
  const dataDirectory = await mkdtemp(join(tmpdir(), "howdah-api-"));
  const config = loadConfig("api", {
    PORT: "0",
    OPS_PORT: "0",
    // What is not about limits is not to meet them.
    RATE_LIMIT_FACTOR: "100000",
    DATA_DIR: dataDirectory,
    ...options.environment,
  });
  const api = await startApi({
    config,
    connections: {
      authenticatorUrl: options.authenticatorUrl ?? database.authenticatorUrl,
      listenUrl: options.listenUrl ?? database.authenticatorUrl,
    },
    logger: options.logger ?? searchedLogger,
    // Stands still with freezeTime().
    elapsed: () => Date.now(),
    ...(options.development ? { development: options.development } : {}),
    ...(options.poolSize === undefined ? {} : { poolSize: options.poolSize }),
    ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
    ...(options.keptSteps === undefined ? {} : { keptSteps: options.keptSteps }),
    // What is not about an exhausted pool is not to meet it on a machine that stands still for 2 s.
    acquireTimeout: options.acquireTimeout ?? 30_000,
  });

  async function graphql(query: string, { token, variables, headers }: GraphQLOptions = {}) {
    const response = await fetch(`${api.url}/graphql`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/graphql-response+json",
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors = [] } = (await response.json()) as Partial<GraphQLAnswer>;
    learnSecrets(query, variables, { data, errors });
    return { status: response.status, data, errors };
  }

  async function signUp(
    email = `person-${Math.random().toString(36).slice(2)}@example.com`,
    phone?: string,
  ) {
    const { data, errors } = await graphql(
      `mutation ($input: SignUpInput!) {
        signUp(input: $input) { tokens { accessToken refreshToken userId } }
      }`,
      { variables: { input: { email, phone, password: PASSWORD, firstName: "Person" } } },
    );
    if (errors.length > 0) throw new Error(JSON.stringify(errors));
    const { accessToken, refreshToken, userId } = data.signUp.tokens;
    return { email, userId, token: accessToken, refreshToken };
  }

  return {
    url: api.url,
    opsUrl: api.opsUrl,
    dataDirectory,
    database,
    graphql,
    signUp,
    async signUpOperator(email) {
      const account = await signUp(email);
      await database.owner.query("insert into app_private.operators (user_id) values ($1)", [
        account.userId,
      ]);
      const { data } = await graphql(
        `mutation ($input: RefreshTokensInput!) {
          refreshTokens(input: $input) { tokens { accessToken refreshToken } }
        }`,
        { variables: { input: { refreshToken: account.refreshToken } } },
      );
      const { accessToken, refreshToken } = data.refreshTokens.tokens;
      return { ...account, token: accessToken, refreshToken };
    },
    async stop() {
      await api.stop();
      if (!options.database) await database.drop();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}
