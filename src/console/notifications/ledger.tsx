import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef, useState } from "react";
import { Button, Dialog, DialogTrigger, Popover } from "react-aria-components";
import { Link } from "wouter";
import type { DeliveryStatus, NotificationStatus, TallyFragment } from "../graphql/generated.ts";
import { Choice } from "../ui/fields.tsx";
import { Failure, Loading, Nothing } from "../ui/states.tsx";
import { counted, platform, Status } from "../ui/status.tsx";
import { useAddress } from "../ui/use-address.ts";
import { When } from "../ui/when.tsx";
import { type Delivery, useLedger } from "./use-ledger.ts";

/** Of a row, in pixels; on a narrow screen its cells stand below each other. */
const HEIGHT = 44;
const NARROW_HEIGHT = 92;

const CHOICES: Readonly<Record<string, { name: string; statuses: DeliveryStatus[] | undefined }>> =
  {
    "": { name: "All", statuses: undefined },
    arrived: { name: "Accepted", statuses: ["ACCEPTED", "ACKNOWLEDGED"] },
    waiting: { name: "Waiting", statuses: ["QUEUED", "SENDING", "RETRYING"] },
    refused: {
      name: "Did not arrive",
      statuses: ["DEAD_ADDRESS", "FAILED", "UNKNOWN", "EXPIRED", "SKIPPED", "CANCELED"],
    },
  };
const OPTIONS = Object.entries(CHOICES).map(([key, { name }]) => [key, name] as const);

/** Why a ledger has nothing. */
const EMPTY: Readonly<Partial<Record<NotificationStatus, string>>> = {
  SCHEDULED: "It has not begun.",
  SENDING: "It has only just begun.",
  CANCELED: "It was canceled before it began.",
  EXPIRED: "It expired before it began.",
  NO_DEVICES: "None of its recipients has a registered device.",
};

/** One row for each device, however many: only those in sight exist. */
export function Ledger(props: { id: number; status: NotificationStatus; tally: TallyFragment }) {
  const { id, status, tally } = props;
  const [choice, setChoice] = useAddress("show");
  const statuses = (CHOICES[choice] ?? CHOICES[""])?.statuses;
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ first: 0, last: 20 });
  const { total, problem, row } = useLedger(id, statuses, range.first, range.last);
  const isNarrow = matchMedia("(max-width: 40rem)").matches;
  const virtual = useVirtualizer({
    count: total ?? 0,
    getScrollElement: () => box.current,
    estimateSize: () => (isNarrow ? NARROW_HEIGHT : HEIGHT),
    overscan: 8,
    onChange({ range: seen }) {
      if (seen) setRange({ first: seen.startIndex, last: seen.endIndex });
    },
  });
  return (
    <>
      <div className="filters">
        <Choice label="Show" value={choice} onChange={setChoice} options={OPTIONS} />
        <p className="muted">{total === undefined ? "" : counted(total, "device")}</p>
      </div>
      {problem && <Failure problem={problem} />}
      {total === undefined && !problem && <Loading />}
      {total === 0 && (
        <Nothing title={tally.deliveries ? "None of them." : "No device is in the ledger."}>
          {tally.deliveries ? "Choose another outcome." : EMPTY[status]}
        </Nothing>
      )}
      <div
        className="ledger"
        ref={box}
        role="table"
        aria-label="Deliveries"
        aria-rowcount={(total ?? 0) + 1}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls by keys
        tabIndex={0}
        hidden={!total}
      >
        <div role="rowgroup" className="ledger-head">
          <div role="row" aria-rowindex={1} className="ledger-row">
            {["Recipient", "Device", "Outcome", "FCM’s answer", "When"].map((title) => (
              <span role="columnheader" key={title}>
                {title}
              </span>
            ))}
          </div>
        </div>
        <div role="rowgroup" className="ledger-body" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, start, size }) => (
            <div
              role="row"
              aria-rowindex={index + 2}
              key={index}
              className="ledger-row"
              style={{ transform: `translateY(${start}px)`, height: size }}
            >
              <Cells delivery={row(index)} />
            </div>
          ))}
        </div>
      </div>
    </>
  );
}

function Cells({ delivery }: { delivery: Delivery | undefined }) {
  if (!delivery) {
    return (
      <span role="cell" className="muted">
        …
      </span>
    );
  }
  const { user, userId, deviceType, deviceTokenId, status, messageId, attempts } = delivery;
  const answer = [delivery.errorCode, delivery.errorMessage].filter(Boolean).join(": ");
  const name = user ? [user.firstName, user.lastName].filter(Boolean).join(" ") : "";
  return (
    <>
      <span role="cell">
        <Link href={`/users/${userId}?notification=${delivery.notificationId}`}>
          {name || `User ${userId}`}
        </Link>
      </span>
      <span role="cell">
        {platform(deviceType)} <span className="sub-inline">#{deviceTokenId}</span>
      </span>
      <span role="cell">
        <Status of={status} />
        {attempts > 1 && <span className="sub-inline"> {attempts} attempts</span>}
      </span>
      <span role="cell" className="answer">
        {answer || messageId ? (
          <DialogTrigger>
            <Button className="answer-button">{answer || messageId?.split("/").at(-1)}</Button>
            <Popover className="popover" placement="bottom start">
              <Dialog className="answer-whole" aria-label="FCM’s answer">
                {answer || messageId}
              </Dialog>
            </Popover>
          </DialogTrigger>
        ) : (
          <span className="muted">–</span>
        )}
      </span>
      <span role="cell">
        <When
          at={
            delivery.acknowledgedAt ??
            delivery.sentAt ??
            delivery.nextAttemptAt ??
            delivery.createdAt
          }
        />
      </span>
    </>
  );
}
