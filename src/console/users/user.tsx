import { Link } from "wouter";
import { UserDocument } from "../graphql/generated.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { headline } from "../notifications/notification-table.tsx";
import { Page, Section } from "../ui/page.tsx";
import { Answered, Nothing } from "../ui/states.tsx";
import { inWords, platform, Status } from "../ui/status.tsx";
import { When } from "../ui/when.tsx";
import { AccountActions } from "./account-actions.tsx";
import { Explain } from "./explain.tsx";
import { Rows } from "./rows.tsx";
import { Sessions } from "./sessions.tsx";

/** All about one person that an operator needs to answer "why did it not reach me?". */
export default function User({ id }: { id: number }) {
  const isNumber = Number.isInteger(id) && id > 0 && id < 2 ** 31;
  const answer = useLiveQuery(UserDocument, { id: isNumber ? id : 0 });
  const user = answer.data?.user;
  const name = user
    ? [user.firstName, user.lastName].filter(Boolean).join(" ")
    : `User ${isNumber ? id : ""}`;
  return (
    <Page
      title={name}
      lead={
        user && (
          <>
            #{user.id} · {user.email ?? "no e-mail"}
            {user.email && !user.emailVerified ? " (unproven)" : ""} ·{" "}
            {user.phone ?? "no phone number"} · {user.timezone}
            {user.deletedAt && (
              <>
                {" "}
                · closed <When at={user.deletedAt} />
              </>
            )}
            {user.disabledAt && (
              <p className="disabled">
                <span className="status" data-tone="bad">
                  Disabled
                </span>{" "}
                <When at={user.disabledAt} />
                {user.disabledReason && `: ${user.disabledReason}`}
              </p>
            )}
          </>
        )
      }
      actions={user && !user.deletedAt && <AccountActions user={user} onChanged={answer.refetch} />}
    >
      <Answered answer={answer}>
        {({ user }) =>
          user === null ? (
            <Nothing title="There is no such user.">Check the number in the address.</Nothing>
          ) : (
            <>
              <Explain userId={user.id} />
              <Section title="Devices">
                <Rows
                  title="Devices"
                  head={["Device", "Registered", "Last seen", "State"]}
                  rows={user.deviceTokens.nodes.filter((row) => row !== null)}
                  cells={(device) => [
                    `${platform(device.deviceType)} #${device.id}`,
                    <When key="c" at={device.createdAt} />,
                    <When key="s" at={device.lastSeenAt} />,
                    device.disabledAt ? (
                      <span key="d" className="status" data-tone="bad">
                        {inWords(device.disabledReason ?? "disabled")}
                      </span>
                    ) : (
                      <span key="d" className="status" data-tone="good">
                        Registered
                      </span>
                    ),
                  ]}
                  empty="No device has ever been registered: the app has to call registerDevice."
                />
              </Section>
              <Section title="Deliveries">
                <Rows
                  title="Deliveries"
                  head={["Notification", "Device", "Outcome", "FCM’s answer", "When"]}
                  rows={user.notificationDeliveries.nodes.filter((row) => row !== null)}
                  cells={(delivery) => [
                    <Link key="n" href={`/notifications/${delivery.notificationId}`}>
                      {delivery.notification
                        ? headline({ ...delivery.notification, isSilent: false })
                        : `#${delivery.notificationId}`}
                    </Link>,
                    `${platform(delivery.deviceType)} #${delivery.deviceTokenId}`,
                    <Status key="s" of={delivery.status} />,
                    delivery.errorCode ?? delivery.messageId?.split("/").at(-1) ?? "–",
                    <When key="w" at={delivery.sentAt ?? delivery.createdAt} />,
                  ]}
                  empty="Nothing has been sent to a device of theirs."
                />
              </Section>
              <Sessions
                sessions={user.sessions.nodes.filter((row) => row !== null)}
                onChanged={answer.refetch}
              />
              <Section title="Security events">
                <Rows
                  title="Security events"
                  head={["What happened", "Address", "Client", "When"]}
                  rows={user.securityEvents.nodes.filter((row) => row !== null)}
                  cells={(event) => [
                    inWords(event.kind ?? ""),
                    event.ipAddress ?? "–",
                    event.userAgent ?? "–",
                    <When key="w" at={event.createdAt} />,
                  ]}
                  empty="Nothing in the last 90 days."
                />
              </Section>
            </>
          )
        }
      </Answered>
    </Page>
  );
}
