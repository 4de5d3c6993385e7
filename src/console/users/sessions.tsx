import { RevokeSessionDocument, type UserQuery } from "../graphql/generated.ts";
import { useAction } from "../graphql/use-action.ts";
import { Confirm } from "../ui/confirm.tsx";
import { Section } from "../ui/page.tsx";
import { Failure } from "../ui/states.tsx";
import { inWords } from "../ui/status.tsx";
import { When } from "../ui/when.tsx";
import { Rows } from "./rows.tsx";

type Session = NonNullable<NonNullable<UserQuery["user"]>["sessions"]["nodes"][number]>;

/** Where they are logged in, and were; each can be ended. */
export function Sessions(props: { sessions: Session[]; onChanged: () => void }) {
  const { sessions, onChanged } = props;
  const revoke = useAction(RevokeSessionDocument);
  const now = Date.now();
  return (
    <Section title="Sessions">
      {revoke.problem && <Failure problem={revoke.problem} />}
      <Rows
        title="Sessions"
        head={["Client", "Address", "Last used", "State", ""]}
        rows={sessions}
        cells={(session) => {
          const isLive = session.revokedAt === null && Date.parse(session.expiresAt) > now;
          return [
            session.deviceInfo ?? "unnamed",
            session.ipAddress ?? "–",
            <When key="w" at={session.lastUsedAt} />,
            <span key="s" className="status" data-tone={isLive ? "good" : "idle"}>
              {isLive
                ? "Live"
                : session.revokedAt === null
                  ? "Expired"
                  : inWords(session.revokedReason ?? "ended")}
            </span>,
            isLive && (
              <Confirm
                key="a"
                action="Revoke"
                label={`Revoke the session of ${session.deviceInfo ?? "an unnamed client"}`}
                title="End this session?"
                isBusy={revoke.isBusy}
                isDanger
                onConfirm={async () => (await revoke.run({ id: session.id })) && onChanged()}
              >
                It is logged out at once, and the devices that it registered get nothing more.
              </Confirm>
            ),
          ];
        }}
        empty="They have never logged in."
      />
    </Section>
  );
}
