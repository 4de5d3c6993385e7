import { readFile } from "node:fs/promises";
import { buildSchema, isInputObjectType, isObjectType } from "graphql";
import { beforeAll, describe, expect, it } from "vitest";
import { breakingChanges } from "../../scripts/schema-changes.ts";

// schema.graphql is the built schema: schema-file.test.ts sees to that.
let sdl: string;
let contract: string;
beforeAll(async () => {
  sdl = await readFile("schema.graphql", "utf8");
  contract = await readFile("test/api/contract.graphql", "utf8");
});

/** What somebody could give themselves, if an input had it. */
const NOT_FOR_CLIENTS =
  /^(userId|emailVerified|phoneVerified|isDeleted|deletedAt|createdAt|updatedAt|role|status|sentStatus)$/;

describe("the schema", () => {
  it("breaks nothing of what clients build against: names, arguments, what may be null", async () => {
    const changes = await breakingChanges(contract, sdl);
    expect(changes.map(({ path, message }) => `${path}: ${message}`)).toEqual([]);
  });

  it.each([
    ["a field", "  isCurrent: Boolean!\n", ""],
    ["a type of a field", "  expiresIn: Int!", "  expiresIn: String!"],
    ["that a field is never null", "  accessToken: String!", "  accessToken: String"],
    ["that an input needs no more", "  dryRun: Boolean", "  dryRun: Boolean!"],
    ["an operation", "  exportMyData(input: ExportMyDataInput!): ExportMyDataPayload\n", ""],
  ])("would be found out without %s", async (_what, text, other) => {
    const lines = contract.replace(text, other);
    expect(lines).not.toBe(contract);
    expect(await breakingChanges(contract, lines)).not.toEqual([]);
  });

  it("takes nothing from clients that is not theirs to give: no such field is in an input", () => {
    const inputs = Object.values(buildSchema(sdl).getTypeMap()).filter(isInputObjectType);
    const given = inputs.filter(({ name }) => !/Filter$/.test(name));
    expect(given.length).toBeGreaterThan(30);
    const found = given.flatMap((input) =>
      Object.keys(input.getFields())
        .filter((field) => NOT_FOR_CLIENTS.test(field))
        .map((field) => `${input.name}.${field}`),
    );
    expect(found).toEqual([]);
  });

  it("takes an id where a row is named by it, and nobody chooses the id of what is created", () => {
    const inputs = Object.values(buildSchema(sdl).getTypeMap()).filter(isInputObjectType);
    const withId = inputs.filter((type) => !/Filter$/.test(type.name) && "id" in type.getFields());
    expect(withId.map(({ name }) => name).sort()).toEqual([
      "CancelNotificationInput",
      "DecideCircuitBreakerInput",
      "DeleteItemInput",
      "DisableUserInput",
      "EnableUserInput",
      "LiftPushPauseInput",
      "RetryJobInput",
      "RevokeSessionInput",
      "UnlinkOauth2CredentialInput",
      "UpdateItemInput",
    ]);
  });

  it("has a clientMutationId in each mutation's input and payload, and a payload named after it", () => {
    const mutations = Object.values(buildSchema(sdl).getMutationType()?.getFields() ?? {});
    expect(mutations.length).toBeGreaterThan(28);
    for (const { name, args, type } of mutations) {
      const Name = name[0]?.toUpperCase() + name.slice(1);
      expect(args.map((arg) => `${arg.name}: ${arg.type}`)).toEqual([`input: ${Name}Input!`]);
      expect(String(type)).toBe(`${Name}Payload`);
      expect(isObjectType(type) && type.getFields()).toHaveProperty("clientMutationId");
    }
  });
});
