import { extendSchema, gql } from "postgraphile/utils";
import { nodeMutation } from "./node-mutation.ts";

/** Signing in with a provider: the end of it, which gives tokens. */
export const SignInPlugin = extendSchema({
  typeDefs: gql`
    input ExchangeSignInCodeInput {
      clientMutationId: String
      """Of the return URL; good once, for 60 seconds."""
      code: String!
      """What the code_challenge of GET /auth/:provider was made from (RFC 7636, S256)."""
      codeVerifier: String!
    }
    type ExchangeSignInCodePayload {
      clientMutationId: String
      tokens: TokenResponse
    }

    input LogInWithIdTokenInput {
      clientMutationId: String
      """GOOGLE is the only one."""
      provider: Oauth2Provider!
      """What the native app got from the provider, for the client id of this server."""
      idToken: String!
      """What the app gave the provider to put into the ID token."""
      nonce: String!
    }
    type LogInWithIdTokenPayload {
      clientMutationId: String
      tokens: TokenResponse
    }

    extend type Mutation {
      """
      Opens a session for who came back from a provider. Sent with a bearer token, it links the identity to
      that user as well. A CONFLICT where the address is another user's: they log in first, and link.
      """
      exchangeSignInCode(input: ExchangeSignInCodeInput!): ExchangeSignInCodePayload
      """The same for a native app that has an ID token of the provider."""
      logInWithIdToken(input: LogInWithIdTokenInput!): LogInWithIdTokenPayload
    }
  `,
  objects: {
    Mutation: {
      plans: {
        exchangeSignInCode: nodeMutation<{ code: string; codeVerifier: string }>(
          "tokens",
          (input, { signIn, identity, client }) => signIn.exchangeCode(input, identity, client),
        ),
        logInWithIdToken: nodeMutation<{ provider: string; idToken: string; nonce: string }>(
          "tokens",
          (input, { signIn, identity, client }) => signIn.logInWithIdToken(input, identity, client),
        ),
      },
    },
    ExchangeSignInCodePayload: { scope: { isMutationPayload: true } },
    LogInWithIdTokenPayload: { scope: { isMutationPayload: true } },
  },
});
