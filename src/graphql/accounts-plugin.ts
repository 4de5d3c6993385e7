import { extendSchema, gql } from "postgraphile/utils";
import type { LogInInput, SignUpInput } from "../auth/accounts.ts";
import { nodeMutation } from "./node-mutation.ts";

/** `signUp`, `logIn` and `refreshTokens`: what needs Node, because it hashes and signs. */
export const AccountsPlugin = extendSchema({
  typeDefs: gql`
    """The tokens of a session; the names of OAuth 2.0."""
    type TokenResponse {
      """A JWT for the Authorization header, as Bearer; also for connectionParams of a WebSocket."""
      accessToken: String!
      """Opaque; good for one call of refreshTokens, which gives the next."""
      refreshToken: String!
      """Always Bearer."""
      tokenType: String!
      userId: Int!
      """Until the access token expires, in seconds."""
      expiresIn: Int!
    }

    """An account needs an e-mail address or a phone number."""
    input SignUpInput {
      clientMutationId: String
      email: String
      """E.164, such as +4930123456."""
      phone: String
      """8 to 256 characters."""
      password: String!
      firstName: String!
      lastName: String
      """IANA name, such as Europe/Berlin. UTC where left out."""
      timezone: String
      """What the user will recognise the device by in their list of sessions."""
      deviceInfo: String
    }
    type SignUpPayload {
      clientMutationId: String
      tokens: TokenResponse
    }

    input LogInInput {
      clientMutationId: String
      """E-mail address or phone number."""
      identifier: String!
      password: String!
      """What the user will recognise the device by in their list of sessions."""
      deviceInfo: String
    }
    type LogInPayload {
      clientMutationId: String
      tokens: TokenResponse
    }

    input RefreshTokensInput {
      clientMutationId: String
      refreshToken: String!
    }
    type RefreshTokensPayload {
      clientMutationId: String
      tokens: TokenResponse
    }

    extend type Mutation {
      """
      Opens an account and its first session. A taken address is a CONFLICT. Where sign-ups have to be
      confirmed, tokens is null and a message is sent, whether the address was taken or not.
      """
      signUp(input: SignUpInput!): SignUpPayload
      """Opens a session."""
      logIn(input: LogInInput!): LogInPayload
      """
      Exchanges a refresh token for new tokens. The one before may be used again within 10 seconds
      and gives the same; any older one ends the session.
      """
      refreshTokens(input: RefreshTokensInput!): RefreshTokensPayload
    }
  `,
  objects: {
    Mutation: {
      plans: {
        signUp: nodeMutation<SignUpInput>("tokens", (input, { accounts, client }) =>
          accounts.signUp(input, client),
        ),
        logIn: nodeMutation<LogInInput>("tokens", (input, { accounts, client }) =>
          accounts.logIn(input, client),
        ),
        refreshTokens: nodeMutation<{ refreshToken: string }>(
          "tokens",
          ({ refreshToken }, { accounts, client }) => accounts.refresh(refreshToken, client),
        ),
      },
    },
    SignUpPayload: { scope: { isMutationPayload: true } },
    LogInPayload: { scope: { isMutationPayload: true } },
    RefreshTokensPayload: { scope: { isMutationPayload: true } },
  },
});
