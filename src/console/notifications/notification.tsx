import { useEffect, useState } from "react";
import {
  CancelNotificationDocument,
  NotificationDocument,
  type NotificationQuery,
  RetryDeliveriesDocument,
} from "../graphql/generated.ts";
import { useAction } from "../graphql/use-action.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { Confirm } from "../ui/confirm.tsx";
import { Page, Section } from "../ui/page.tsx";
import { Answered, Failure, Nothing } from "../ui/states.tsx";
import { Status } from "../ui/status.tsx";
import { byTheirClock, SendTime, When } from "../ui/when.tsx";
import { Ledger } from "./ledger.tsx";
import { headline } from "./notification-table.tsx";
import { Progress } from "./progress.tsx";

/** How often the progress is looked at, milliseconds. */
const WHILE_SENDING = 1000;

type Shown = NonNullable<NotificationQuery["notification"]>;

/** What became of one notification, down to each device. */
export default function Notification({ id }: { id: number }) {
  const isNumber = Number.isInteger(id) && id > 0 && id < 2 ** 31;
  const [isSending, setSending] = useState(false);
  const every = isSending ? WHILE_SENDING : undefined;
  const answer = useLiveQuery(NotificationDocument, { id: isNumber ? id : 0 }, { every });
  const { data } = answer;
  const shown = data?.notification;
  useEffect(() => setSending(shown?.status === "SENDING"), [shown?.status]);
  if (data && !shown) {
    return (
      <Page title={`Notification ${isNumber ? id : ""}`}>
        <Nothing title="There is no such notification.">
          Check the number in the address, or search for it.
        </Nothing>
      </Page>
    );
  }
  return (
    <Page
      title={shown ? headline(shown) : `Notification ${id}`}
      lead={
        shown && (
          <>
            <Status of={shown.status} /> #{shown.id} · {shown.event} · <SendTime {...shown} />
          </>
        )
      }
      actions={shown && <Actions shown={shown} onChanged={answer.refetch} />}
    >
      <Answered answer={answer}>
        {() =>
          shown && (
            <>
              <Progress tally={shown.statistics} isOver={!isUnderWay(shown)} />
              <Section title="Deliveries">
                <Ledger id={id} status={shown.status} tally={shown.statistics} />
              </Section>
              <Section title="What was said">
                <Facts shown={shown} />
              </Section>
            </>
          )
        }
      </Answered>
    </Page>
  );
}

const isUnderWay = ({ status }: Shown) => status === "SCHEDULED" || status === "SENDING";

function Actions({ shown, onChanged }: { shown: Shown; onChanged: () => void }) {
  const cancel = useAction(CancelNotificationDocument);
  const retry = useAction(RetryDeliveriesDocument);
  const problem = cancel.problem ?? retry.problem;
  const { failed, deadAddress } = shown.statistics;
  const mayRetry =
    ["SENT", "PARTIAL", "FAILED", "NO_DEVICES"].includes(shown.status) &&
    (failed ?? 0) + (deadAddress ?? 0) > 0;
  return (
    <>
      {isUnderWay(shown) && (
        <Confirm
          action="Cancel it"
          title="Cancel this notification?"
          isBusy={cancel.isBusy}
          onConfirm={async () => (await cancel.run({ id: shown.id })) && onChanged()}
        >
          What has been handed to FCM already cannot be taken back.
        </Confirm>
      )}
      {mayRetry && (
        <Confirm
          action="Retry"
          title="Try these again?"
          isBusy={retry.isBusy}
          onConfirm={async () => (await retry.run({ id: shown.id })) && onChanged()}
        >
          Sends again what FCM refused, to devices that are registered. Dead addresses stay dead
          until their app registers again.
        </Confirm>
      )}
      {problem && <Failure problem={problem} />}
    </>
  );
}

function Facts({ shown }: { shown: Shown }) {
  const facts: [string, React.ReactNode][] = [
    ["Title", shown.title],
    ["Text", shown.message],
    ["Data", Object.keys(shown.data as object).length > 0 ? JSON.stringify(shown.data) : null],
    ["Audience", shown.audience],
    ["Created", <When key="created" at={shown.createdAt} absolute />],
    ["Goes out at", shown.sendAtLocal === null ? null : byTheirClock(shown.sendAtLocal)],
    ["Expires", <When key="expires" at={shown.expiresAt} absolute />],
    ["Priority", shown.priority.toLowerCase()],
    ["Guarantee", shown.delivery.toLowerCase().replaceAll("_", " ")],
    ["Collapse key", shown.collapseKey],
    ["Only if unread after", shown.unreadSeconds === null ? null : `${shown.unreadSeconds} s`],
  ];
  return (
    <dl className="facts">
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
