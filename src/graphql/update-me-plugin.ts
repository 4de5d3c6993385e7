import { withPgClientTransaction } from "postgraphile/@dataplan/pg";
import { access, object } from "postgraphile/grafast";
import { extendSchema, gql } from "postgraphile/utils";
import { ApiError } from "../errors.ts";

/**
 * `updateMe`: a typed input around app_public.update_me, because an argument of a composite type
 * could not tell a field that was left out from one that was set to null.
 */
export const UpdateMePlugin = extendSchema((build) => {
  const { users } = build.pgResources;
  if (!users) throw new Error("The table app_public.users is missing: run `npm run migrate`.");
  const { executor } = users;
  return {
    typeDefs: gql`
      """Fields that are left out stay as they are."""
      input UpdateMePatch {
        firstName: String
        lastName: String
        """Pending until the link that is sent there was followed; the old one is told."""
        email: String
        """E.164; pending until the code that is sent there was given."""
        phone: String
        """http(s) URL."""
        picture: String
        """IANA name, such as Europe/Berlin."""
        timezone: String
      }
      input UpdateMeInput {
        clientMutationId: String
        patch: UpdateMePatch!
      }
      type UpdateMePayload {
        clientMutationId: String
        user: User
      }
      extend type Mutation {
        """Changes the user who asks."""
        updateMe(input: UpdateMeInput!): UpdateMePayload
      }
    `,
    objects: {
      Mutation: {
        plans: {
          updateMe(_$root, args) {
            const $input = args.getRaw("input");
            const $id = withPgClientTransaction(
              executor,
              access($input, "patch"),
              async (client, patch: Patch) => {
                const { rows } = await client.query<{ id: number | null }>({
                  text: "select id from app_public.update_me($1::jsonb)",
                  values: [JSON.stringify(inSql(patch))],
                });
                const id = rows[0]?.id;
                if (id == null) throw new ApiError("NOT_FOUND", "There is no such user.");
                return id;
              },
            );
            return object({ clientMutationId: access($input, "clientMutationId"), id: $id });
          },
        },
      },
      UpdateMePayload: {
        scope: { isMutationPayload: true },
        plans: {
          user($payload) {
            return users.get({ id: access($payload, "id") });
          },
        },
      },
    },
  };
});

interface Patch {
  firstName?: string | null;
  lastName?: string | null;
  email?: string | null;
  phone?: string | null;
  picture?: string | null;
  timezone?: string | null;
}

function inSql(patch: Patch) {
  const { firstName, lastName, ...rest } = patch;
  // JSON.stringify leaves undefined out: absent stays absent.
  return { first_name: firstName, last_name: lastName, ...rest };
}
