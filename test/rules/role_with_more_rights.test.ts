import { describeRule } from "../support/rules.ts";

describeRule("role_with_more_rights", [
  {
    title: "nobody who is a user is found, and an operator who is one is not",
    violation: "grant howdah_user to howdah_anonymous",
    finds: ["howdah_anonymous"],
  },
  {
    title: "so is a user who may make roles by way of another role, but not one who is nobody too",
    clean: `create role helpers;
      grant helpers to howdah_user;
      grant howdah_anonymous to helpers`,
    violation: "create role keepers createrole; grant keepers to helpers",
    finds: ["helpers"],
  },
  {
    title: "the order of the roles says who may more",
    clean: "create role visitor; create role member; grant visitor to member",
    violation: "revoke visitor from member; grant member to visitor",
    finds: ["visitor"],
    options: { roles: ["visitor", "member"] },
  },
]);
