import { access, inhibitOnNull } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import { nodeMutation } from "./node-mutation.ts";

/** Passwords and proofs: what of them needs Node, because it hashes. */
export const CredentialsPlugin = extendSchema((build) => {
  const { users } = build.pgResources;
  if (!users) throw new Error("The table app_public.users is missing: run `npm run migrate`.");
  const payloadWithUser = {
    scope: { isMutationPayload: true },
    plans: {
      user: ($payload: Parameters<typeof access>[0]) =>
        users.get({ id: inhibitOnNull(access($payload, "userId")) }),
    },
  };
  return {
    typeDefs: gql`
      input ChangePasswordInput {
        clientMutationId: String
        currentPassword: String!
        """8 to 256 characters."""
        newPassword: String!
      }
      type ChangePasswordPayload {
        clientMutationId: String
        user: User
      }

      input RequestPasswordResetInput {
        clientMutationId: String
        """E-mail address or phone number."""
        identifier: String!
      }
      type RequestPasswordResetPayload {
        clientMutationId: String
      }

      input ResetPasswordInput {
        clientMutationId: String
        """Of the link that was sent."""
        token: String!
        """8 to 256 characters."""
        newPassword: String!
      }
      type ResetPasswordPayload {
        clientMutationId: String
      }

      input VerifyPhoneInput {
        clientMutationId: String
        """6 digits."""
        code: String!
        """
        The number that signed up; for who is not logged in, because sign-ups have to be confirmed first. Who is
        logged in verifies the number that their newest code was sent to, and this is not looked at.
        """
        phone: String
      }
      type VerifyPhonePayload {
        clientMutationId: String
        user: User
      }

      input DeleteAccountInput {
        clientMutationId: String
        """Not needed within ten minutes of a log-in."""
        password: String
      }
      type DeleteAccountPayload {
        clientMutationId: String
      }

      extend type Mutation {
        """A new password; every other session ends, and a notice is mailed."""
        changePassword(input: ChangePasswordInput!): ChangePasswordPayload
        """Sends a link, good for 30 minutes, where somebody has this identifier. The answer does not tell."""
        requestPasswordReset(input: RequestPasswordResetInput!): RequestPasswordResetPayload
        """A new password by the link that was sent; all sessions end, and nobody is logged in."""
        resetPassword(input: ResetPasswordInput!): ResetPasswordPayload
        """Verifies a phone number with the code that was sent there. user is null for who is not logged in."""
        verifyPhone(input: VerifyPhoneInput!): VerifyPhonePayload
        """Closes the account for good: sessions, devices, identities, items and inbox go, the address is free."""
        deleteAccount(input: DeleteAccountInput!): DeleteAccountPayload
      }
    `,
    objects: {
      Mutation: {
        plans: {
          changePassword: nodeMutation<{ currentPassword: string; newPassword: string }>(
            "userId",
            (input, { credentials, identity, client }) =>
              credentials.changePassword(input, identity, client),
          ),
          requestPasswordReset: nodeMutation<{ identifier: string }>(
            "done",
            (input, { credentials, client }) => credentials.requestPasswordReset(input, client),
          ),
          resetPassword: nodeMutation<{ token: string; newPassword: string }>(
            "done",
            (input, { credentials, client }) => credentials.resetPassword(input, client),
          ),
          verifyPhone: nodeMutation<{ code: string; phone?: string | null }>(
            "userId",
            (input, { credentials, identity, client }) =>
              credentials.verifyPhone(input, identity, client),
          ),
          deleteAccount: nodeMutation<{ password?: string | null }>(
            "done",
            (input, { credentials, identity, client }) =>
              credentials.deleteAccount(input, identity, client),
          ),
        },
      },
      ChangePasswordPayload: payloadWithUser,
      VerifyPhonePayload: payloadWithUser,
      RequestPasswordResetPayload: { scope: { isMutationPayload: true } },
      ResetPasswordPayload: { scope: { isMutationPayload: true } },
      DeleteAccountPayload: { scope: { isMutationPayload: true } },
    },
  };
});
