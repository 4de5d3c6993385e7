import { buildClientSchema, buildSchema, getIntrospectionQuery, printSchema } from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DESCRIPTIONS } from "../../src/graphql/descriptions.ts";
import { elements } from "../../src/graphql/descriptions-plugin.ts";
import { startTestApi, type TestApi } from "../support/api.ts";

let api: TestApi;
let types: Map<string, string[]>;
let sdl: string;

beforeAll(async () => {
  api = await startTestApi();
  const { data } = await api.graphql(getIntrospectionQuery());
  sdl = printSchema(buildClientSchema(data));
  types = new Map(
    data.__schema.types.map(
      (type: {
        name: string;
        fields?: { name: string }[];
        inputFields?: { name: string }[];
        enumValues?: { name: string }[];
      }) => [
        type.name,
        (type.fields ?? type.inputFields ?? type.enumValues ?? []).map(({ name }) => name),
      ],
    ),
  );
});
afterAll(() => api.stop());

describe("the schema does not show", () => {
  it.each([
    [
      "hashes, reset and provider tokens, or secrets",
      /hash|secret|subject|sealed|encrypted|resetToken|leased/i,
    ],
    [
      "look-ups by a unique constraint, which would be oracles",
      /ByToken|ByEmail|ByPhone|ByProvider|ByNotificationId/,
    ],
    [
      "internals of the database",
      /currentUserId|currentSessionId|fannedOut|recipients\(|app_private/,
    ],
    ["the device token of anybody", /^ {2}token: String!?$/m],
  ])("%s", (what, pattern) => {
    // The inputs that carry a token are those of the device that calls and of links.
    const shown = what.startsWith("the device")
      ? sdl.replace(
          /input (UnregisterDevice|RegisterDevice|VerifyEmail|ResetPassword)Input \{[\s\S]*?\n\}/g,
          "",
        )
      : sdl;
    expect(shown.match(pattern)).toBeNull();
  });

  it.each([
    "User",
    "Session",
    "DeviceToken",
    "Notification",
    "NotificationDelivery",
    "Oauth2Credential",
  ])("generated mutations of %s", (type) => {
    const generated = [...(types.get("Mutation") ?? [])].filter((name) =>
      new RegExp(`^(create|update|delete)${type}$`).test(name),
    );
    expect(generated).toEqual([]);
  });
});

describe("the schema says a word", () => {
  it("of each type, field, argument and value, but orders", () => {
    const silent = [...elements(buildSchema(sdl))].filter(
      ([coordinate, { description }]) => !description && !/OrderBy\./.test(coordinate),
    );
    expect(silent.map(([coordinate]) => coordinate)).toEqual([]);
    expect(sdl).not.toMatch(/\ba `[AEIO]/i);
  });

  it("from a list that has nothing that is not there, or that SQL says itself", () => {
    const said = new Map(
      [...elements(buildSchema(sdl))].map(([coordinate, { description }]) => [
        coordinate,
        description,
      ]),
    );
    for (const [coordinate, description] of Object.entries(DESCRIPTIONS)) {
      expect(said.get(coordinate), coordinate).toBe(description);
    }
  });
});
