import { buildClientSchema, getIntrospectionQuery, printSchema } from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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

describe("the schema has the names that clients build against", () => {
  it.each(
    Object.entries({
      Query:
        "me items item notifications notification deviceTokens sessions oauth2Credentials users user node",
      Mutation: `signUp logIn refreshTokens logOut logOutEverywhere revokeSession changePassword
        requestPasswordReset resetPassword requestEmailVerification verifyEmail requestPhoneVerification
        verifyPhone deleteAccount exportMyData updateMe createItem updateItem deleteItem registerDevice
      unregisterDevice markNotificationsRead acknowledgeDelivery sendNotification cancelNotification
      exchangeSignInCode logInWithIdToken unlinkOauth2Credential`,
      Subscription: "notificationReceived",
      User: `nodeId id firstName lastName email emailVerified phone phoneVerified picture createdAt lastLoggedIn
      timezone deletedAt isDeleted unreadNotificationCount`,
      Item: "nodeId id userId title description data isActive createdAt updatedAt",
      DeviceToken: "nodeId id userId deviceType createdAt updatedAt",
      Notification: `nodeId id users event message title data createdAt sentStatus status statistics readAt
      deliveries`,
      NotificationDelivery: `id userId deviceTokenId deviceType status attempts messageId errorCode createdAt
      sentAt acknowledgedAt`,
      Oauth2Credential: "id userId provider email tokenExpiry createdAt updatedAt",
      Session: "id deviceInfo createdAt lastUsedAt expiresAt isCurrent",
      TokenResponse: "accessToken refreshToken tokenType userId expiresIn",
      SignUpInput: "clientMutationId email phone password firstName lastName timezone deviceInfo",
      LogInInput: "clientMutationId identifier password deviceInfo",
      CreateItemInput: "clientMutationId item",
      UpdateItemInput: "clientMutationId id patch",
      DeleteItemInput: "clientMutationId id",
      RegisterDeviceInput: "clientMutationId token deviceType",
      SendNotificationInput: `clientMutationId users event message title data sendAt expiresAt collapseKey
      priority delivery`,
      CreateItemPayload: "clientMutationId item",
      RegisterDevicePayload: "clientMutationId deviceToken",
      SendNotificationPayload: "clientMutationId notification",
      UpdateMePayload: "clientMutationId user",
      LogInPayload: "clientMutationId tokens",
      NotificationReceivedPayload: "notification",
      DeviceType: "IOS ANDROID WEB",
      DeliveryStatus: `QUEUED SENDING ACCEPTED ACKNOWLEDGED RETRYING DEAD_ADDRESS FAILED UNKNOWN EXPIRED
      SKIPPED CANCELED`,
      NotificationStatus: "SCHEDULED SENDING SENT PARTIAL FAILED NO_DEVICES CANCELED EXPIRED",
      DeliveryGuarantee: "AT_LEAST_ONCE AT_MOST_ONCE",
      ItemInput: "title description data",
      ItemPatch: "title description data isActive",
    }),
  )("%s", (type, names) => {
    expect(types.get(type)).toEqual(expect.arrayContaining(names.split(/\s+/)));
  });

  it("each kind of row is found by its id", () => {
    expect(sdl).toMatch(/ {2}item\(id: Int!\): Item$/m);
    expect(sdl).toMatch(/ {2}notification\(id: Int!\): Notification$/m);
    expect(sdl).toMatch(/ {2}user\(id: Int!\): User$/m);
  });
});

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

  it("emailVerified and phoneVerified in any input type: nobody can set them", () => {
    const inputs = [...sdl.matchAll(/^input (\w+) \{\n([\s\S]*?)\n\}/gm)];
    expect(inputs.length).toBeGreaterThan(30);
    const found = inputs.filter(([, , body]) => /^ {2}(email|phone)Verified\b/m.test(body ?? ""));
    expect(found.map(([, name]) => name)).toEqual([]);
  });
});
