import { access, context, object, type Step, sideEffect } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import type { Accounts, LogInInput, SignUpInput } from "../auth/accounts.ts";

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
      """Opens an account and its first session. A taken address is a CONFLICT."""
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
        signUp: signingIn<SignUpInput>((accounts, input, ip) => accounts.signUp(input, ip)),
        logIn: signingIn<LogInInput>((accounts, input, ip) => accounts.logIn(input, ip)),
        refreshTokens: signingIn<{ refreshToken: string }>((accounts, input) =>
          accounts.refresh(input.refreshToken),
        ),
      },
    },
    SignUpPayload: { scope: { isMutationPayload: true } },
    LogInPayload: { scope: { isMutationPayload: true } },
    RefreshTokensPayload: { scope: { isMutationPayload: true } },
  },
});

function signingIn<TInput>(
  act: (accounts: Accounts, input: TInput, ip: string | undefined) => Promise<unknown>,
) {
  return (_$root: Step, args: { getRaw(path: string): Step }) => {
    const $input = args.getRaw("input");
    const $context = context();
    const $tokens = sideEffect(
      [$input, $context.get("accounts"), $context.get("ipAddress")],
      ([input, accounts, ip]) =>
        act(accounts as Accounts, input as TInput, ip as string | undefined),
    );
    return object({ clientMutationId: access($input, "clientMutationId"), tokens: $tokens });
  };
}
