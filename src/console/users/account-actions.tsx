import { useState } from "react";
import { Link } from "wouter";
import { DisableUserDocument, EnableUserDocument, type UserQuery } from "../graphql/generated.ts";
import { useAction } from "../graphql/use-action.ts";
import { Confirm } from "../ui/confirm.tsx";
import { TextBox } from "../ui/fields.tsx";
import { Failure } from "../ui/states.tsx";

type Shown = NonNullable<UserQuery["user"]>;

/** What an operator can do with an account. */
export function AccountActions({ user, onChanged }: { user: Shown; onChanged: () => void }) {
  const disable = useAction(DisableUserDocument);
  const enable = useAction(EnableUserDocument);
  const [reason, setReason] = useState("");
  const problem = disable.problem ?? enable.problem;
  return (
    <>
      {user.disabledAt ? (
        <Confirm
          action="Enable"
          title="Enable this account again?"
          isBusy={enable.isBusy}
          onConfirm={async () => (await enable.run({ id: user.id })) && onChanged()}
        >
          Its user can log in as before. Their devices get pushes again once the app registers them.
        </Confirm>
      ) : (
        <Confirm
          action="Disable"
          title="Disable this account?"
          isBusy={disable.isBusy}
          isDanger
          onConfirm={async () => (await disable.run({ id: user.id, reason })) && onChanged()}
        >
          <div className="stack">
            <p>
              Their sessions end at once, nobody logs in, and their devices get nothing more.
              Nothing is deleted.
            </p>
            <TextBox
              label="Reason"
              value={reason}
              onChange={setReason}
              maxLength={500}
              hint="For the next operator who looks; the user is not told."
            />
          </div>
        </Confirm>
      )}
      <Link href={`/compose?to=${user.id}`} className="button primary">
        Send to them
      </Link>
      {problem && <Failure problem={problem} />}
    </>
  );
}
